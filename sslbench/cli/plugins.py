"""``sslbench plugins``."""

from __future__ import annotations

import click

from sslbench.cli.command import Command
from sslbench.cli.options import format_option, print_json
from sslbench.cli.streams import show


@click.command(
    "plugins",
    cls=Command,
    examples=[
        "sslbench plugins",
        "SSLBENCH_PLUGINS=sslbench sslbench plugins          # the built-in ones alone",
    ],
)
@format_option(what="list")
def command(format_: str) -> None:
    """Load every entry point of the group ``sslbench`` and report ok, or failed and why.

    SSLBENCH_PLUGINS limits what is loaded: comma-separated distributions or entry points, * allowed.
    """
    from sslbench.hooks.registry import Registry

    plugins = [(loaded.entry, loaded) for loaded in Registry().load_all()]
    rows = [(e.name, e.distribution, e.version, "failed" if p.failure else "ok", p.failure) for e, p in plugins]
    if format_ == "json":
        keys = ("name", "distribution", "version", "status", "reason")
        items = [dict(zip(keys, (*row[:4], row[4] or None), strict=True)) for row in rows]
        changed = [list(loaded.changed) for _, loaded in plugins]
        print_json({"plugins": [{**item, "changed": words} for item, words in zip(items, changed, strict=True)]})
        return
    from sslbench.report.screen import one_line
    from sslbench.report.text import Column, listing

    headers = ("entry point", "distribution", "version", "status", "reason")
    columns = [
        Column(name, list(map(one_line, cells)), rank=name == "version")
        for name, cells in zip(headers, zip(*rows, strict=True), strict=True)
    ]
    failed = sum(bool(loaded.failure) for _, loaded in plugins)
    parts = [listing(columns)] if rows else []
    notes = [one_line(f"{e.name} of {e.distribution} {p.put_back}") for e, p in plugins if p.changed]
    parts += ["\n".join(notes)] if notes else []
    show("\n\n".join([*parts, f"{len(rows)} plugins, {failed} failed"]))
