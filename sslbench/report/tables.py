"""Records as text: for a terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sslbench.report.aggregate import aggregate
from sslbench.report.answer import answer
from sslbench.report.below import briefly, problems_below
from sslbench.report.brief import brief_table
from sslbench.report.fitting import fitting
from sslbench.report.legend import legend, of_speeds
from sslbench.report.screen import PAGE, folded
from sslbench.report.sections.curves import best_of_curve
from sslbench.report.text import Block, bulleted, escaped, markdown, markdown_page, plural, terminal_page, wrapped
from sslbench.report.view import MARKDOWN, View
from sslbench.store.current import Unfinished
from sslbench.store.json_parts import plain
from sslbench.store.record import SCHEMA, Record

CURVE = "best epoch of curve, chosen on the images that it is evaluated on (the table has the last epoch)"


def render(
    records: Sequence[Record],
    fmt: str,
    suite: str,
    folder: Path | None = None,
    superseded: int = 0,
    unfinished: Sequence[Unfinished] = (),
    details: bool = False,
) -> str:
    """The records as text, without a newline at the end. ``fmt``: ``table`` and ``markdown`` have one row a recipe,
    rounded, the best marked; ``csv`` the same rows unrounded (see ``frame.csv_text``); ``json`` has the records.
    ``folder``: where they lie, with the metrics of each image, by which rows of one seed are told apart;
    ``superseded``: how many other records are there; ``unfinished``: what was asked for and is not all there;
    ``details``: all columns and what each means, in the place of those of note."""
    if fmt == "json":
        return json_document(records, suite, superseded, unfinished)
    view = View(aggregate(records), folder, unfinished)
    if fmt == "csv":
        from sslbench.report.frame import csv_text

        return csv_text(view.aggregate)
    title = view.names.title(suite)
    blocks = [("unfinished", list(map(left_to_run, unfinished))), *problems_below(view, superseded)]
    if fmt == "markdown":
        return markdown_text(view, title, blocks)
    return detailed_text(view, title, blocks) if details else brief_text(view, title, blocks)


def json_document(records: Sequence[Record], suite: str, superseded: int, unfinished: Sequence[Unfinished]) -> str:
    """The records and what is not among them."""
    left_out: dict[str, Any] = {"superseded": superseded} if superseded else {}
    left_out |= {"unfinished": [vars(item) for item in unfinished]} if unfinished else {}
    document = {"schema": SCHEMA, "suite": suite, **left_out, "records": [record.to_json() for record in records]}
    try:
        return json.dumps(document, indent=1, allow_nan=False)
    except (TypeError, ValueError):  # what was never stored may hold what JSON cannot
        return json.dumps(plain(document, ""), indent=1, allow_nan=False)


def markdown_text(view: View, title: str, blocks: Sequence[Block]) -> str:
    """All of it."""
    first, *others = answer(view)
    parts = [
        "\n".join([f"**{escaped(first)}**", *(["", bulleted(others)] if others else [])]),
        title,
        bulleted(view.data_lines()),
    ]
    parts += [markdown(view.columns(MARKDOWN))] if view.order else []
    parts += [f"**{table}**\n\n{markdown(view.columns_of(table, MARKDOWN))}" for table in view.tables]
    words = words_of(view, "bold", "italic")
    return markdown_page(parts[0], parts[1:], [*words, (CURVE, best_of_curve(view)), *blocks])


def detailed_text(view: View, title: str, blocks: Sequence[Block]) -> str:
    """All of it, for a terminal or a file."""
    tables = [fitting(view.columns)] if view.order else []
    tables += [f"{table}:\n{fitting(partial(view.columns_of, table))}" for table in view.tables]
    words = words_of(view, "*", "=")
    return terminal_page("", [*above(view, title), *tables], [*words, (CURVE, best_of_curve(view)), *blocks])


def words_of(view: View, best: str, tie: str) -> list[Block]:
    """What the marks and the columns of the main table mean."""
    headers = [column.header for column in view.columns(MARKDOWN)]
    return [("", [*legend(view, best, tie), *of_speeds(headers)])] if view.order else []


def brief_text(view: View, title: str, blocks: Sequence[Block]) -> str:
    """The answer, the columns of note, and what has to be known."""
    tables, words = brief_table(view) if view.order else ([], [])
    return terminal_page("", [*above(view, title), *tables], [("", words), *briefly(blocks)])


def answer_text(view: View) -> str:
    """The sentence that answers the question, and the others below it."""
    first, *others = answer(view)
    page = PAGE.get()
    fold = partial(folded, width=page.width, words=not page.whole)
    return "\n".join([fold(first), *(fold(line, first="  ", rest="    ") for line in others)])


def above(view: View, title: str) -> list[str]:
    """The answer, what is the same for all rows, and what was looked at."""
    return [
        answer_text(view),
        wrapped(title, rest="    "),
        "\n".join(wrapped(line, rest="    ") for line in view.data_lines()),
    ]


def left_to_run(item: Unfinished) -> str:
    """``7 of 14 cells have results; 7 are not run yet, this goes on: sslbench run quick``."""
    goes_on = f"this goes on: {item.command}" if item.command else f"suite {item.suite} goes on when it is run again"
    there = item.cells - item.missing
    are = "is" if item.missing == 1 else "are"
    return f"{there:,} of {plural(item.cells, 'cell')} have results; {item.missing:,} {are} not run yet, {goes_on}"
