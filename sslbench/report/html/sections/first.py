"""The table: one row a recipe, with quality and speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sslbench.report.charts.panel import identity
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Lines, Part, Section, Table
from sslbench.report.legend import legend, of_speeds
from sslbench.report.majority import with_rows
from sslbench.report.tables import left_to_run
from sslbench.report.text import Column
from sslbench.report.view import STATUS_RANK, Style, View

SPEEDS = ("img/s", "train s")
"""columns of speed and cost of the first table; all are in the section on cost"""
MOST_ROWS = 1200
"""of a table"""


def first_table(folder: Folder) -> Section | None:
    """Quality and the speeds that matter most; other metrics of evaluators with many are in tables of their own."""
    view = folder.view
    if not view.order:
        return None
    columns = [c for c in view.columns(Style()) if c.rank <= STATUS_RANK or c.header in SPEEDS]
    parts: list[Part] = [table(view, "All recipes, best first", columns)]
    parts += [table(view, f"{name}: all metrics", view.columns_of(name, Style())) for name in view.tables]
    parts.append(Lines([*legend(view, "*", "="), *of_speeds(SPEEDS)], quiet=True))
    if folder.unfinished:
        parts.insert(0, Lines(list(map(left_to_run, folder.unfinished))))
    return Section("table", "Results", parts)


def table(view: View, caption: str, columns: Sequence[Column]) -> Table:
    """Of columns with a row for each recipe, and one for what a constant answer gets; the first ``MOST_ROWS``."""
    rows = [Column("", [str(row) for row in view.order])]
    numbers = with_rows(rows, view.majorities, lambda *_: "")[0].cells
    names = [names_of(view, int(number)) if number else {} for number in numbers]
    return shortened(Table(caption, columns, names))


def shortened(table: Table, most: int = MOST_ROWS, elsewhere: str = "sslbench results prints all") -> Table:
    """The first rows, and a note that says so; ``elsewhere``: where the others are."""
    there = len(table.columns[0].cells) if table.columns else 0
    if there <= most:
        return table
    note = f"the first {most:,} of {there:,} rows; {elsewhere}"
    columns = [replace(column, cells=column.cells[:most]) for column in table.columns]
    return replace(table, columns=columns, names=table.names[:most], notes=[*table.notes, note])


def names_of(view: View, row: int) -> Mapping[str, str]:
    """What the filters of the page go by."""
    return {kind: str(name) for kind, name in identity(view, row).items()}
