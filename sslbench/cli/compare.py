"""``sslbench compare``."""

from __future__ import annotations

from pathlib import Path

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import result_folders
from sslbench.cli.options import FORMATS, UserPath, without_collector
from sslbench.cli.streams import say, show


@click.command(
    "compare",
    cls=Command,
    examples=[
        "sslbench compare before after",
        "sslbench compare before after --fail-on knn_top1:1%",
        "sslbench compare fp32 bf16 --across training.precision --format markdown",
    ],
)
@click.argument("first", metavar="A", type=UserPath(), shell_complete=result_folders)
@click.argument("second", metavar="B", type=UserPath(), shell_complete=result_folders)
@click.option(
    "--fail-on",
    "limits",
    multiple=True,
    metavar="QUANTITY:PERCENT",
    help="Exit code 1 if it is worse in B by more than this and beyond the spread; repeatable.",
)
@click.option(
    "--across",
    multiple=True,
    metavar="NAME",
    help="An axis or parameter in which a pair may differ, such as training.precision; repeatable.",
)
@click.option("--format", "format_", type=FORMATS, default="table", show_default=True, help="Format of the result.")
@without_collector
def command(first: Path, second: Path, limits: tuple[str, ...], across: tuple[str, ...], format_: str) -> int:
    """Say what moved from A to B beyond the spread, in quality and speed.

    A and B are results folders, or files of ``sslbench results --format json``. Cells are paired by their axes,
    parameters and seed.
    """
    from sslbench.report.compare.comparison import compare
    from sslbench.report.compare.sides import load_side
    from sslbench.report.compare.table import render_comparison
    from sslbench.report.text import plural

    sides = load_side(first), load_side(second)
    for side in sides:
        for line in side.damaged:
            say(f"warning: {line}; it is left out")
        if side.superseded:
            say(f"{side.name}: {plural(side.superseded, 'superseded record')} left out (see results --superseded)")
    comparison = compare(*sides, limits, across)
    show(render_comparison(comparison, format_), format_, lead=True)
    for line in comparison.exceeded:
        say(f"worse than allowed: {line}")
    return 1 if comparison.exceeded else 0
