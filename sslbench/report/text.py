"""The text kit of all tables: columns for a terminal and as Markdown, CSV, and lines that fit."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

WIDTH = 120
"""characters of a terminal that text should fit"""
WIDTHS = (0, 30, 20, 13)
"""at which the words of a section are broken until it fits; 0: never"""
Block = tuple[str, Sequence[str]]
"""a heading, which may be empty, and the lines below it"""


@dataclass(frozen=True)
class Column:
    """A header and a cell for each row. Numbers are aligned to the right; a cell may have several lines."""

    header: str
    cells: Sequence[str]
    number: bool = False


def terminal(columns: Sequence[Column], gap: int, broken_headers: bool) -> str:
    """Headers, a rule, the rows. With ``broken_headers`` a header that is longer than its cells has two lines."""
    blank = " " * gap
    widths, heads = [], []
    for column in columns:
        wide = max((len(line) for cell in column.cells for line in cell.split("\n")), default=0)
        lines = split_header(column.header) if broken_headers and len(column.header) > wide else [column.header]
        heads.append(lines)
        widths.append(max(wide, *map(len, lines)))
    height = max(map(len, heads))
    text = [aligned([[""] * (height - len(lines)) + lines for lines in heads], columns, widths, blank)]
    text.append(blank.join("-" * width for width in widths))
    for row in range(len(columns[0].cells)):
        text.append(aligned([column.cells[row].split("\n") for column in columns], columns, widths, blank))
    return "\n".join(text)


def aligned(cells: Sequence[Sequence[str]], columns: Sequence[Column], widths: Sequence[int], blank: str) -> str:
    """One row, of as many lines as its tallest cell."""
    text = []
    for words in zip_longest(*cells, fillvalue=""):
        shares = zip(words, widths, columns, strict=True)
        padded = [word.rjust(width) if column.number else word.ljust(width) for word, width, column in shares]
        text.append(blank.join(padded).rstrip())
    return "\n".join(text)


def split_header(header: str) -> list[str]:
    """Two lines, as even as they can be: ``few_label`` and ``top1@2``; one line where two save no room."""
    splits = [
        [header[: mark.start()], rest] if mark[0] in " _" else [header[: mark.end()], rest]
        for mark in re.finditer(r"[ _/-]", header)
        if mark.start() > 0 and (rest := header[mark.end() :])
    ]
    best = min(splits, key=lambda lines: max(map(len, lines)), default=[header])
    return best if max(map(len, best)) < len(header) - 1 else [header]


def markdown(columns: Sequence[Column]) -> str:
    """A table as GitHub shows it."""
    lines = [
        [escaped(column.header) for column in columns],
        ["---:" if column.number else ":---" for column in columns],
        *([escaped(column.cells[row]) for column in columns] for row in range(len(columns[0].cells))),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """A cell of Markdown: nothing in it ends the cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """Lines of at most ``WIDTH`` characters; ``first`` and ``rest`` are put before the first and the other lines."""
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def broken(text: str, width: int, at_hyphens: bool = False) -> str:
    """In lines of at most ``width`` characters where blanks (or hyphens) allow it; as it is where ``width`` is 0."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=at_hyphens) if width else [text]
    return "\n".join(lines)


def fits(text: str) -> bool:
    """Whether no line is longer than ``WIDTH``."""
    return max(map(len, text.split("\n"))) <= WIDTH


def terminal_page(title: str, tables: Iterable[str], blocks: Iterable[Block]) -> str:
    """A title, tables, and the blocks that have lines, for a terminal."""
    parts = [wrapped(title, rest="    "), *tables]
    for heading, lines in blocks:
        indent = "  " if heading else ""
        texts = [wrapped(line, indent, f"{indent}    ") for line in lines]
        parts.append("\n".join([f"{heading}:", *texts] if heading and lines else texts))
    return "\n\n".join(filter(None, parts))


def markdown_page(title: str, tables: Iterable[str], blocks: Iterable[Block]) -> str:
    """The same as GitHub shows it."""
    parts = [title, *tables]
    for heading, lines in blocks:
        texts = [f"- {line}" for line in lines]
        parts.append("\n".join([f"**{heading}**", "", *texts] if heading and lines else texts))
    return "\n\n".join(filter(None, parts))


@dataclass(frozen=True)
class Section:
    """A table beside the main one, which answers one question about the same records."""

    title: str
    rows: Sequence[Mapping[str, Any]] = ()
    """unrounded, all with the same keys, JSON-able"""
    columns: Sequence[Column] = ()
    notes: Sequence[str] = ()

    def as_table(self) -> str:
        """For a terminal: the roomiest table that fits, the tightest one where none does."""
        tables = []
        for width in WIDTHS if self.rows else ():
            cut = [c if c.number else replace(c, cells=[broken(cell, width) for cell in c.cells]) for c in self.columns]
            tables = [terminal(cut, 1 if width else 2, width > 0)]
            if fits(tables[0]):
                break
        return terminal_page(self.title, tables, [("", self.notes)])

    def as_markdown(self) -> str:
        """As GitHub shows it."""
        return markdown_page(f"**{self.title}**", [markdown(self.columns)] if self.rows else [], [("", self.notes)])


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """One line a row after the header; the columns are those of the first row unless they are named."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or (list(rows[0]) if rows else []), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: flat(value) for name, value in row.items()} for row in rows)
    return text.getvalue().rstrip("\n")


def flat(value: Any) -> Any:
    """Lists and mappings as one cell."""
    if isinstance(value, Mapping):
        value = [f"{key}={item}" for key, item in value.items()]
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def plural(count: int, word: str) -> str:
    """``1 image``, ``1,200 images``."""
    return f"{count:,} {word}{'s' if count != 1 else ''}"


def first_names(names: Sequence[str], most: int = 5) -> str:
    """``a, b, c, d, e and 12 more``."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
