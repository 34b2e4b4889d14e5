"""The table that is seen first: the columns of note, as many as the page has room for, and what is not shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sslbench.report.fitting import fitting
from sslbench.report.legend import brief_legend
from sslbench.report.numbers import NOTHING
from sslbench.report.screen import PAGE
from sslbench.report.sections.curves import best_of_curve
from sslbench.report.text import Column, first_names, fits, fitted, plural, terminal
from sslbench.report.view import JOINED, Style, View

COSTS = {"train s": 0, "img/s": 200, "embed img/s": 201, "peak MB": 202}
"""columns of cost -> rank, by which they are left out where there is no room; the first never is"""
STATUS, HEADLINES, OTHERS = 1, 2, 100
"""ranks of the status, and the first ones of headlines and of other metrics"""
STYLES = (Style(), Style(2, True), Style(2, True, "±"), Style(2, True, "±", join_masking=True))
MOST_ROWS = 40
"""on a terminal, where more would scroll the answer away"""


def brief_table(view: View) -> tuple[list[str], list[str]]:
    """The table, and the lines below it: what its columns mean, and what is not shown."""
    part = view if PAGE.get().whole else view.only(first_rows(view))
    if PAGE.get().whole:
        columns = columns_of_note(part, Style())
        text = fitting(partial(columns_of_note, part))
    else:
        text, columns = fitted_columns(part)
    return [text], [*brief_legend(view, columns), *not_shown(view, part, columns)]


def columns_of_note(view: View, style: Style) -> list[Column]:
    """Of the main table: words, metrics, and some of the costs, with the rank of each."""
    headlines = {record.headline for recipe in view.aggregate.recipes for record in recipe.row.records}
    metrics = {metric.label: metric for metric in view.aggregate.metrics}
    columns = []
    for place, column in enumerate(view.columns(style)):
        if column.header in metrics:
            first = column.rank == 0
            start = HEADLINES if metrics[column.header].name in headlines else OTHERS
            columns.append(replace(column, rank=0 if first else start + place))
        elif column.header in COSTS and not is_empty(column):
            columns.append(replace(column, rank=COSTS[column.header]))
        elif not column.number:
            columns.append(replace(column, rank=STATUS if column.header == "status" else 0))
    costs = {column.header: column for column in columns if column.header in COSTS}
    order = iter([costs[header] for header in COSTS if header in costs])
    return [next(order) if column.header in costs else column for column in columns]


def is_empty(column: Column) -> bool:
    """Whether nothing of it was measured."""
    return all(cell == NOTHING for cell in column.cells)


def fitted_columns(view: View) -> tuple[str, list[Column]]:
    """The table with as many columns as fit, and these."""
    candidates = [(style, columns_of_note(view, style)) for style in STYLES]
    ranks = sorted({column.rank for column in candidates[0][1]}, reverse=True)
    for most in ranks:
        for style, columns in candidates:
            kept = [column for column in columns if column.rank <= most]
            text = terminal(kept, style.gap, style.broken_headers)
            if fits(text):
                return text, kept
    kept = [column for column in candidates[-1][1] if column.rank == 0]
    return fitted(kept, roomy=False), kept


def first_rows(view: View) -> list[int]:
    """The first of each data set and the baselines, as many as a terminal has room for."""
    datasets: dict[str, list[int]] = {}
    for row in view.order:
        datasets.setdefault(view.names.of_kind["dataset"][row], []).append(row)
    if len(view.order) <= MOST_ROWS:
        return list(view.order)
    each = max(3, MOST_ROWS // len(datasets))
    baselines = [row for row in view.order if view.aggregate.recipes[row].is_baseline][:MOST_ROWS]
    shown = {row for rows in datasets.values() for row in rows[:each]} | set(baselines)
    return [row for row in view.order if row in shown]


def not_shown(view: View, part: View, columns: Sequence[Column]) -> list[str]:
    """A line that names or counts all that ``--details`` has beside it."""
    headers = {column.header for column in columns}
    headers |= set(JOINED.split()) if JOINED in headers else set()
    missing = [c.header for c in view.columns(STYLES[0]) if c.header not in headers and not is_empty(c)]
    parts = [first_names(missing)] if missing else []
    rows = len(view.order) - len(part.order)
    parts += [f"{plural(rows, 'row')}"] if rows else []
    for table in view.tables:
        count = sum(metric.table == table for metric in view.aggregate.metrics)
        parts.append(f"the {count} metrics of {table}")
    parts += ["best epochs of curves"] if best_of_curve(view) else []
    return [f"not shown: {'; '.join(parts)} (--details has all)"] if parts else []
