"""``sslbench list``. Reads metadata only; imports no plugin but bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import kind_names
from sslbench.cli.options import format_option, print_json
from sslbench.cli.streams import say, show

if TYPE_CHECKING:
    from sslbench.hooks.catalogue import Catalogue


@click.command(
    "list",
    cls=Command,
    examples=[
        "sslbench list",
        "sslbench list method",
        "sslbench list dataset --format json",
    ],
)
@click.argument("kind", required=False, shell_complete=kind_names)
@format_option(what="list")
def command(kind: str | None, format_: str) -> None:
    """List every plugin, or those of one KIND: name, summary, distribution.

    KIND is one of augmentation, method, masking, evaluator, simulator, dataset, backbone, executor,
    observer.
    """
    from sslbench.hooks.catalogue import Catalogue, check_kind

    only = check_kind(kind) if kind else None
    catalogue = Catalogue.installed()
    for message in catalogue.collisions().values():
        say(f"warning: {message}")
    specs = [spec for spec in rows(catalogue) if only in (None, spec["kind"])]
    if format_ == "json":
        print_json({"specs": specs})
    else:
        show(as_table(specs) if specs else f"no {only or 'plugin'} is installed")


def rows(catalogue: Catalogue) -> list[dict[str, str]]:
    """One row per spec: from metadata where the entry point promises one, by loading where it is a bundle."""
    specs = [(*entry.promise, entry.summary, entry) for entry in catalogue.entries if entry.promise]
    if catalogue.bundles:
        from sslbench.hooks.registry import Registry

        registry = Registry(catalogue)
        for entry in catalogue.bundles:
            specs += [(spec.kind, spec.name, spec.summary, entry) for spec in registry.load(entry).specs]
    return [
        {"kind": kind, "name": name, "summary": text, "distribution": entry.distribution, "version": entry.version}
        for kind, name, text, entry in specs
    ]


def as_table(specs: list[dict[str, str]]) -> str:
    """Grouped by kind, kinds in the order in which they first appear."""
    from sslbench.report.screen import one_line, padded, width_of
    from sslbench.report.text import hanging

    width = max(width_of(one_line(spec["name"])) for spec in specs)
    blocks: dict[str, list[str]] = {}
    for spec in specs:
        summary, distribution = spec["summary"] or "(no summary)", f"{spec['distribution']} {spec['version']}"
        name = f"  {padded(one_line(spec['name']), width)}  "
        blocks.setdefault(spec["kind"], []).append(hanging(name, f"{summary}  [{distribution}]"))
    return "\n\n".join("\n".join([kind, *lines]) for kind, lines in blocks.items())
