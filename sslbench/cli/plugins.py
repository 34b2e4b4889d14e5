"""``sslbench plugins``."""

from __future__ import annotations

import json

import click


@click.command("plugins", short_help="Load every plugin and say ok or failed.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Of the list.",
)
def command(format_: str) -> None:
    """Load every entry point of the group ``sslbench`` and say ok, or failed and why.

    SSLBENCH_PLUGINS limits what is loaded: comma-separated distributions or entry points, * allowed.
    """
    from sslbench.hooks.registry import Registry

    rows = [
        {
            "name": one.entry.name,
            "distribution": one.entry.distribution,
            "version": one.entry.version,
            "status": "failed" if one.failure else "ok",
            "reason": one.failure or None,
        }
        for one in Registry().load_all()
    ]
    if format_ == "json":
        click.echo(json.dumps({"schema": 1, "plugins": rows}, indent=1))
        return
    from tabulate import tabulate

    headers = ["entry point", "distribution", "version", "status", "reason"]
    click.echo(tabulate([[v if v is not None else "" for v in row.values()] for row in rows], headers=headers))
    failed = sum(row["status"] == "failed" for row in rows)
    click.echo(f"\n{len(rows)} plugins, {failed} failed")
