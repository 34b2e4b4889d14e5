"""``sslbench results``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sslbench.cli.options import FORMATS

SECTIONS = {
    "statistics": "Mean, deviation, 95% interval and seeds of each metric.",
    "pairs": "The best against every other recipe, paired, with p-values.",
    "correlations": "Of pretext loss and label-free metrics with the probes.",
    "curves": "Loss and metrics after every epoch that was judged.",
    "published": "Figures of the literature beside those measured.",
}
"""Tables in the place of the main one."""


def section_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, text in reversed(SECTIONS.items()):
        function = click.option(f"--{name}", is_flag=True, help=text)(function)
    return function


@click.command("results", short_help="Print the results of a folder.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--format", "format_", type=FORMATS, default="table", show_default=True, help="Of the result.")
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help="Only records with this value; repeatable.")
@section_options
def command(folder: Path, format_: str, where: tuple[str, ...], **sections: bool) -> None:
    """Print the results in DIR, as ``run`` and ``speed`` do, or the tables that are asked for in their place."""
    from sslbench.report.tables import filter_records, render
    from sslbench.speed.table import is_speed, render_speed
    from sslbench.store.results import ResultsStore

    with ResultsStore.open_for_reading(folder) as store:
        records = store.records()
        suites = store.suites()
    chosen = filter_records(records, list(where))
    wanted = [name for name in SECTIONS if sections[name]]
    if wanted:
        from sslbench.report.sections.render import render_sections

        click.echo(render_sections(chosen, wanted, format_, ", ".join(suites), folder))
        return
    measured = [record for record in chosen if is_speed(record)]
    judged = [record for record in chosen if not is_speed(record)]
    if judged or not measured:
        click.echo(render(judged, format_, ", ".join(suites)))
    if measured:
        click.echo(render_speed(measured, format_, ", ".join(suites)))
