"""``sslbench results``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import record_fields, result_folders
from sslbench.cli.options import FORMATS, UserPath, details_option, without_collector
from sslbench.cli.streams import say, show

if TYPE_CHECKING:
    from sslbench.store.record import Record


@click.command(
    "results",
    cls=Command,
    examples=[
        "sslbench results sslbench-results/quick --details",
        "sslbench results sslbench-results/quick --statistics --pairs",
        "sslbench results sslbench-results/quick --where method=simclr --format csv",
        "sslbench results sslbench-results/quick --pictures pictures",
    ],
)
@click.argument("folder", metavar="DIR", type=UserPath(), shell_complete=result_folders)
@click.option("--format", "format_", type=FORMATS, default="table", show_default=True, help="Format of the result.")
@click.option(
    "--where",
    multiple=True,
    metavar="FIELD=VALUE",
    shell_complete=record_fields,
    help="Only records with this value; repeatable.",
)
@details_option
@click.option("--statistics", is_flag=True, help="Mean, deviation, 95% interval and seeds of each metric.")
@click.option("--pairs", is_flag=True, help="The best against every other recipe, paired, with p-values.")
@click.option("--correlations", is_flag=True, help="How pretext loss and label-free metrics correlate with probes.")
@click.option("--curves", is_flag=True, help="Loss and metrics after every epoch that was evaluated.")
@click.option("--published", is_flag=True, help="Numbers of the literature beside those measured.")
@click.option("--superseded", is_flag=True, help="The records that later runs replaced, and no others.")
@click.option("--pictures", metavar="FOLDER", type=UserPath(), help="Write the pictures as files to FOLDER instead.")
@without_collector
def command(
    folder: Path,
    format_: str,
    where: tuple[str, ...],
    details: bool,
    superseded: bool,
    pictures: Path | None,
    **sections: bool,
) -> None:
    """Print the results in DIR, as ``run`` and ``speed`` do: the answer, then a table; or the tables that are asked for
    in their place."""
    from sslbench.report.rows import filter_records
    from sslbench.report.tables import left_to_run, render
    from sslbench.report.text import plural
    from sslbench.store.results import ResultsStore

    with ResultsStore.open_for_reading(folder) as store:
        stored, unfinished = store.read(superseded), store.unfinished()
        suite = ", ".join(store.suites())
    for line in stored.damaged:
        say(f"warning: {line}; it is left out")
    if stored.superseded and (format_ == "csv" or any(sections.values())):
        say(f"{plural(stored.superseded, 'superseded record')} left out (see --superseded)")
    if format_ == "csv" or any(sections.values()):
        for item in unfinished:
            say(left_to_run(item))
    records = filter_records(stored.records, list(where))
    if pictures is not None:
        refuse_beside_pictures(format_, [name for name, wanted in {**sections, "details": details}.items() if wanted])
        show(write_pictures(records, folder, pictures))
        return
    if any(sections.values()):
        from sslbench.report.sections.render import SECTIONS, render_sections

        names = [name for name in SECTIONS if sections[name]]
        show(render_sections(records, names, format_, suite, folder), format_)
        return
    # Cells and rows of speed suites have a table each.
    speeds = [record for record in records if record.kind == "speed" and format_ != "json"]
    cells = [record for record in records if record.kind == "run" or format_ == "json"]
    if cells or not speeds:
        show(render(cells, format_, suite, folder, stored.superseded, unfinished, details), format_, lead=True)
    if speeds:
        from sslbench.speed.table import render_speed

        show(render_speed(speeds, format_, suite), format_)


def refuse_beside_pictures(format_: str, sections: Sequence[str]) -> None:
    """Raises UserError for options that say what is printed."""
    from sslbench.errors import UserError

    given = [f"--{name}" for name in sections] + ([f"--format {format_}"] if format_ != "table" else [])
    if given:
        raise UserError(f"--pictures writes files and prints no table; leave out {', '.join(given)}")


def write_pictures(records: Sequence[Record], folder: Path, target: Path) -> str:
    """Export the pictures, and a sentence about it. Raises UserError where they cannot be written."""
    from sslbench.errors import UserError
    from sslbench.report.pictures import export_pictures
    from sslbench.report.text import plural

    try:
        export = export_pictures(records, folder, target)
    except OSError as error:
        raise UserError(f"--pictures {str(target)!r}: cannot be written: {error.strerror or error}") from error
    for line in export.damaged:
        say(f"warning: {line}; these pictures are left out")
    if export.files:
        return f"{plural(len(export.files), 'picture')} in {target}; captions in {target / 'pictures.json'}"
    return f"no pictures: none of {plural(len(records), 'record')} in {folder} has any; nothing was written"
