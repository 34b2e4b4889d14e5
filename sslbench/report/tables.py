"""Records as text: for a terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile

from sslbench.report.aggregate import aggregate
from sslbench.report.legend import blocks_below
from sslbench.report.text import Column, fits, markdown, markdown_page, terminal, terminal_page
from sslbench.report.view import MARKDOWN, STYLES, Style, View
from sslbench.store.json_parts import plain
from sslbench.store.record import SCHEMA, Record

CUT = 2
"""place in ``STYLES`` of the style of a table that is cut into several"""


def render(records: Sequence[Record], fmt: str, suite: str) -> str:
    """The records as text, without a newline at the end. ``fmt``: ``table`` and ``markdown`` have one row a recipe,
    rounded, the best marked; ``csv`` the same rows unrounded (see ``frame.data_frame``); ``json`` has the records."""
    if fmt == "json":
        return as_json(records, suite)
    aggregated = aggregate(records)
    if fmt == "csv":
        from sslbench.report.frame import data_frame

        return str(data_frame(aggregated).to_csv(index=False, lineterminator="\n")).rstrip("\n")
    return {"table": as_table, "markdown": as_markdown}[fmt](View(aggregated), suite)


def as_json(records: Sequence[Record], suite: str) -> str:
    """``{"schema": 2, "suite": ..., "records": [...]}``, which ``sslbench compare`` reads."""
    document = {"schema": SCHEMA, "suite": suite, "records": [record.to_json() for record in records]}
    try:
        return json.dumps(document, indent=1, allow_nan=False)
    except (TypeError, ValueError):  # what was never stored may hold what JSON cannot
        return json.dumps(plain(document, ""), indent=1, allow_nan=False)


def as_table(view: View, suite: str) -> str:
    """For a terminal."""
    tables = [fitting(view.columns)] if view.order else []
    tables += [f"{table}:\n{fitting(partial(view.columns_of, table))}" for table in view.tables]
    return terminal_page(view.names.title(suite), tables, blocks_below(view, best="*", tie="="))


def fitting(columns: Callable[[Style], list[Column]]) -> str:
    """The roomiest table that fits; where none does, several with the same rows, one below the other."""
    for style in STYLES:
        text = terminal(columns(style), style.gap, style.broken_headers)
        if fits(text):
            return text
    roomy = STYLES[CUT]
    groups = cut(columns(roomy), roomy)
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
    """As GitHub shows it."""
    tables = [markdown(view.columns(MARKDOWN))] if view.order else []
    tables += [f"**{table}**\n\n{markdown(view.columns_of(table, MARKDOWN))}" for table in view.tables]
    return markdown_page(view.names.title(suite), tables, blocks_below(view, best="bold", tie="italic"))
