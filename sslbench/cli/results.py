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
    """Print the results in DIR, as ``run`` and ``speed`` print them."""
    from sslbench.report.speed import is_speed, render_speed
    from sslbench.report.tables import filter_records, render
    from sslbench.store.results import ResultsStore

    with ResultsStore.open_for_reading(folder) as store:
        records = store.records()
        suites = store.suites()
    kept = filter_records(records, list(where))
    measured = [record for record in kept if is_speed(record)]
    judged = [record for record in kept if not is_speed(record)]
    if judged or not measured:
        click.echo(render(judged, format_, ", ".join(suites)))
    if measured:
        click.echo(render_speed(measured, format_, ", ".join(suites)))
