"""Records as text: for a terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

from sslbench.report.text import Column, markdown, terminal
from sslbench.report.rows import Record
from sslbench.report.where import filter_records
from sslbench.store.plain_values import plain

if TYPE_CHECKING:
    from sslbench.report.view import Marks, Style, View

__all__ = ["filter_records", "render"]

WIDTH = 120
"""characters of a terminal that the table should fit"""
CUT = 2
"""place in ``STYLES`` of the style of a table that is cut into several"""


def render(records: Sequence[Record], fmt: str, suite: str) -> str:
    """The records as text, without a newline at the end.

    ``fmt``: ``table`` and ``markdown`` are for people, one row a recipe, rounded, the best marked, and a second table
    for an evaluator with many metrics; ``csv`` has the same rows with all metrics, unrounded (columns: see
    ``Aggregate``); ``json`` has the records as they are.
    """
    if fmt == "json":
        return as_json(records, suite)
    from sslbench.report.aggregate import aggregate
    from sslbench.report.view import View

    found = aggregate(records)
    if fmt == "csv":
        return found.table.to_csv(index=False, lineterminator="\n").rstrip("\n")
    return {"table": as_table, "markdown": as_markdown}[fmt](View(found), suite)


def as_json(records: Sequence[Record], suite: str) -> str:
    document = {"schema": 1, "suite": suite, "records": list(records)}
    try:
        return json.dumps(document, indent=1, allow_nan=False)
    except (TypeError, ValueError):  # what was never stored may hold what JSON cannot
        return json.dumps(
            {**document, "records": [plain(record, "record") for record in records]}, indent=1, allow_nan=False
        )


def as_table(view: View, suite: str) -> str:
    from sslbench.report.legend import below

    parts = [wrapped(view.title(suite))]
    if view.order:
        parts.append(fitting(view.columns))
        parts += [f"{table}:\n{fitting(partial(view.columns_of, table))}" for table in view.tables]
    for block in below(view, best="*", tie="="):
        lines = [wrapped(line, "  " if block.heading else "") for line in block.lines]
        parts.append("\n".join([f"{block.heading}:", *lines] if block.heading else lines))
    return "\n\n".join(parts)


def fitting(columns: Callable[[Style, Marks], list[Column]]) -> str:
    """The roomiest table that fits; where none does, several with the same rows, one below the other."""
    from sslbench.report.view import STYLES, Marks

    marks = Marks(best=lambda value: f"*{value}", tie=lambda value: f"={value}")
    for style in STYLES:
        text = terminal(columns(style, marks), style.gap, style.broken_headers)
        if fits(text):
            return text
    roomy = STYLES[CUT]
    groups = cut(columns(roomy, marks), roomy)
    return "\n\n".join(terminal(group, roomy.gap, roomy.broken_headers) for group in groups)


def cut(columns: Sequence[Column], style: Style) -> list[list[Column]]:
    """The columns in groups that fit, each with those on the left that say what a row is about."""
    words = list(takewhile(lambda column: not column.number, columns))
    groups: list[list[Column]] = [list(words)]
    for column in columns[len(words) :]:
        wider = [*groups[-1], column]
        if len(groups[-1]) > len(words) and not fits(terminal(wider, style.gap, style.broken_headers)):
            wider = [*words, column]
            groups.append(wider)
        groups[-1] = wider
    return groups


def as_markdown(view: View, suite: str) -> str:
    from sslbench.report.legend import below
    from sslbench.report.view import Marks, Style

    marks = Marks(best=lambda value: f"**{value}**", tie=lambda value: f"*{value}*")
    parts = [view.title(suite)]
    if view.order:
        parts.append(markdown(view.columns(Style(), marks)))
        parts += [f"**{table}**\n\n{markdown(view.columns_of(table, Style(), marks))}" for table in view.tables]
    for block in below(view, best="bold", tie="italic"):
        lines = [f"- {line}" for line in block.lines]
        parts.append("\n".join([f"**{block.heading}**", "", *lines] if block.heading else lines))
    return "\n\n".join(parts)
