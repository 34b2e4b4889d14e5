"""``sslbench plugins``."""

from __future__ import annotations

import click

from sslbench.cli.output import format_option, print_json


@click.command("plugins", short_help="Load every plugin and report ok or failed.")
@format_option(what="list")
def command(format_: str) -> None:
    """Load every entry point of the group ``sslbench`` and report ok, or failed and why.

    SSLBENCH_PLUGINS limits what is loaded: comma-separated distributions or entry points, * allowed.
    """
    from sslbench.hooks.registry import Registry

    rows = [
        {
            "name": plugin.entry.name,
            "distribution": plugin.entry.distribution,
            "version": plugin.entry.version,
            "status": "failed" if plugin.failure else "ok",
            "reason": plugin.failure or None,
        }
        for plugin in Registry().load_all()
    ]
    if format_ == "json":
        print_json({"plugins": rows})
        return
    from tabulate import tabulate

    headers = ["entry point", "distribution", "version", "status", "reason"]
    click.echo(tabulate([["" if v is None else v for v in row.values()] for row in rows], headers=headers))
    failed = sum(row["status"] == "failed" for row in rows)
    click.echo(f"\n{len(rows)} plugins, {failed} failed")
