"""``sslbench results``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sslbench.cli.options import FORMATS, decorated

SECTIONS = {
    "statistics": "Mean, deviation, 95% interval and seeds of each metric.",
    "pairs": "The best against every other recipe, paired, with p-values.",
    "correlations": "Of pretext loss and label-free metrics with the probes.",
    "curves": "Loss and metrics after every epoch that was evaluated.",
    "published": "Numbers of the literature beside those measured.",
}
"""tables in the place of the main one, and their help"""


def section_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each of ``SECTIONS``."""
    return decorated(function, [click.option(f"--{name}", is_flag=True, help=text) for name, text in SECTIONS.items()])


@click.command("results", short_help="Print the results of a folder.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--format", "format_", type=FORMATS, default="table", show_default=True, help="Format of the result.")
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help="Only records with this value; repeatable.")
@section_options
def command(folder: Path, format_: str, where: tuple[str, ...], **sections: bool) -> None:
    """Print the results in DIR, as ``run`` and ``speed`` do, or the tables that are asked for in their place."""
    from sslbench.report.rows import filter_records
    from sslbench.report.tables import render
    from sslbench.store.results import ResultsStore

    with ResultsStore.open_for_reading(folder) as store:
        stored = store.read()
        suite = ", ".join(store.suites())
    for line in stored.damaged:
        click.echo(f"sslbench: warning: {line}; it is left out", err=True)
    records = filter_records(stored.records, list(where))
    names = [name for name in SECTIONS if sections[name]]
    if names:
        from sslbench.report.sections.render import render_sections

        click.echo(render_sections(records, names, format_, suite, folder))
        return
    # Cells and rows of speed suites have a table each.
    speeds = [record for record in records if record.kind == "speed" and format_ != "json"]
    cells = [record for record in records if record.kind == "run" or format_ == "json"]
    if cells or not speeds:
        click.echo(render(cells, format_, suite))
    if speeds:
        from sslbench.speed.table import render_speed

        click.echo(render_speed(speeds, format_, suite))
