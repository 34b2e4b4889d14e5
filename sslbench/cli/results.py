"""``sslbench results``."""

from __future__ import annotations

from pathlib import Path

import click

from sslbench.cli.options import FORMATS


@click.command("results", short_help="Print the results of a folder.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--format", "format_", type=FORMATS, default="table", show_default=True, help="Of the result.")
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help="Only records with this value; repeatable.")
def command(folder: Path, format_: str, where: tuple[str, ...]) -> None:
    """Print the results in DIR, as ``run`` prints them."""
    from sslbench.report.tables import filter_records, render
    from sslbench.store.results import ResultsStore

    with ResultsStore.open_for_reading(folder) as store:
        records = store.records()
        suites = store.suites()
    click.echo(render(filter_records(records, list(where)), format_, ", ".join(suites)))
