"""Results as text, laid out for the terminal, and as HTML for a notebook."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path

from sslbench.report.answer import answer
from sslbench.report.below import problem_in_words
from sslbench.report.legend import marks
from sslbench.report.screen import NARROWEST, PAGE, WIDTH, Page
from sslbench.report.tables import render
from sslbench.report.text import Column, plural, terminal_page
from sslbench.report.view import Style, View
from sslbench.results.words import keywords_for_options
from sslbench.store.current import Unfinished
from sslbench.store.record import Record

BEST, TIE = "\x01", "\x02"
"""in front of a value of HTML until it is marked"""
MOST = 100
"""rows that HTML shows"""


def terminal_text(
    records: Sequence[Record], suite: str, folder: Path | None, notes: Sequence[str], unfinished: Sequence[Unfinished]
) -> str:
    """What ``sslbench results`` prints without options, and the notes."""
    with own_page():
        cells = [record for record in records if record.kind == "run"]
        return terminal_page("", [render(cells, "table", suite, folder, unfinished=unfinished)], [("notes", notes)])


def speed_text(records: Sequence[Record], suite: str, notes: Sequence[str]) -> str:
    """The same of rows of a speed suite."""
    from sslbench.speed.table import render_speed

    with own_page():
        return terminal_page("", [render_speed(records, "table", suite)], [("notes", notes)])


@contextmanager
def own_page() -> Iterator[None]:
    """As wide as the terminal, and with keywords in the place of options."""
    width = max(NARROWEST, shutil.get_terminal_size((WIDTH, 0)).columns)
    page = PAGE.set(Page(width, whole=False, reworded=keywords_for_options))
    try:
        yield
    finally:
        PAGE.reset(page)


def html_of(view: View, suite: str, notes: Sequence[str]) -> str:
    """The table with the best of each column in bold and what is not told apart from it in italics, and the notes."""
    problems = [problem_in_words(view, problem) for problem in view.aggregate.problems]
    lines = marks(view, "bold", "italic") if any(view.ranking.best.values()) else []
    tables = [table_of(view.columns(Style(best=f"{BEST}{{}}", tie=f"{TIE}{{}}")))] if view.order else []
    first, *others = map(keywords_for_options, answer(view))
    return "\n".join(
        [
            f"<p><b>{escape(first)}</b> {escape(' '.join(others))}</p>",
            f"<p>{escape(view.names.title(suite))}</p>",
            *tables,
            *listed(lines),
            *listed([*view.data_lines(), *view.data_warnings()]),
            *listed([*notes, *problems]),
        ]
    )


def table_of(columns: Sequence[Column]) -> str:
    """A table whose numbers are aligned to the right."""
    sides = [f' style="text-align: {"right" if column.number else "left"}"' for column in columns]
    heads = "".join(f"<th{side}>{escape(c.header)}</th>" for side, c in zip(sides, columns, strict=True))
    rows = []
    for cells in list(zip(*(column.cells for column in columns), strict=True))[:MOST]:
        rows.append("".join(f"<td{side}>{marked(cell)}</td>" for side, cell in zip(sides, cells, strict=True)))
    left_out = len(columns[0].cells) - len(rows)
    more = f"<p>{plural(left_out, 'more row')}: see table()</p>" if left_out else ""
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    table = f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    return f'<div style="overflow-x: auto; white-space: nowrap">{table}</div>{more}'


def marked(cell: str) -> str:
    """A cell as HTML."""
    text = escape(cell.lstrip(BEST + TIE))
    return f"<b>{text}</b>" if cell.startswith(BEST) else f"<i>{text}</i>" if cell.startswith(TIE) else text


def listed(lines: Iterable[str]) -> list[str]:
    """A list with these items; nothing without any."""
    items = "".join(f"<li>{escape(keywords_for_options(line))}</li>" for line in dict.fromkeys(lines))
    return [f"<ul>{items}</ul>"] if items else []
