"""``sslbench list``. Reads metadata only; imports no plugin but bundles."""

from __future__ import annotations

import json
from typing import Any

import click

FORMATS = click.Choice(["table", "json"])


@click.command("list", short_help="List every plugin.")
@click.argument("kind", required=False)
@click.option("--format", "format_", type=FORMATS, default="table", show_default=True, help="Of the list.")
def command(kind: str | None, format_: str) -> None:
    """List every plugin, or those of one KIND: name, summary, distribution.

    KIND is one of augmentation, method, masking, evaluator, simulator, dataset, backbone, executor.
    """
    from sslbench.hooks.catalogue import Catalogue, check_kind, two_owners

    wanted = check_kind(kind) if kind else None
    catalogue = Catalogue.installed()
    for name, owners in catalogue.collisions().items():
        click.echo(f"sslbench: warning: {two_owners(name, owners)}", err=True)
    specs = [spec for spec in rows(catalogue) if wanted in (None, spec["kind"])]
    if format_ == "json":
        click.echo(json.dumps({"schema": 1, "specs": specs}, indent=1))
    else:
        click.echo(as_table(specs) if specs else f"no {wanted or 'plugin'} is installed")


def rows(catalogue: Any) -> list[dict[str, str]]:
    """One row per spec: from metadata where the entry point promises one, by loading where it is a bundle."""
    found = [
        {
            "kind": entry.promise[0],
            "name": entry.promise[1],
            "summary": entry.summary,
            "distribution": entry.distribution,
            "version": entry.version,
        }
        for entry in catalogue.entries
        if entry.promise
    ]
    if catalogue.bundles:
        from sslbench.hooks.registry import Registry

        registry = Registry(catalogue)
        found += [
            {
                "kind": spec.kind,
                "name": spec.name,
                "summary": spec.summary,
                "distribution": entry.distribution,
                "version": entry.version,
            }
            for entry in catalogue.bundles
            for spec in registry.load(entry).specs
        ]
    return found


def as_table(specs: list[dict[str, str]]) -> str:
    """Grouped by kind, the distribution named only where it is not sslbench's own."""
    width = max(len(spec["name"]) for spec in specs)
    lines: list[str] = []
    for kind in dict.fromkeys(spec["kind"] for spec in specs):
        lines += [*([""] if lines else []), kind]
        for spec in (spec for spec in specs if spec["kind"] == kind):
            lines.append(
                f"  {spec['name']:<{width}}  {spec['summary'] or '(no summary)'}"
                f"  [{spec['distribution']} {spec['version']}]"
            )
    return "\n".join(lines)
