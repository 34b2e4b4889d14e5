"""The text kit of all tables: columns for a terminal and as Markdown, and lines that fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from sslbench.report.screen import PAGE, folded, padded, shown, width_of

LAYOUTS = ((2, False, False), (2, True, False), (1, True, True))
"""of a table, from the roomiest: blanks between columns, headers on two lines, words folded"""
FOLDED, NARROWEST = 13, 5
"""columns to which words are folded at most before a column is left out, and when none is left that can be"""
Block = tuple[str, Sequence[str]]
"""a heading, which may be empty, and the lines below it"""


@dataclass(frozen=True)
class Column:
    """A header and a cell for each row. Numbers are aligned to the right; a cell may have several lines."""

    header: str
    cells: Sequence[str]
    number: bool = False
    rank: int = 0
    """columns of the highest rank are left out first where there is no room; 0: never"""


def terminal(columns: Sequence[Column], gap: int, broken_headers: bool) -> str:
    """Headers, a rule, the rows. With ``broken_headers`` a header that is longer than its cells has two lines."""
    blank = " " * gap
    rows = [[shown(cell).split("\n") for cell in column.cells] for column in columns]
    wide = [max((width_of(line) for cell in cells for line in cell), default=0) for cells in rows]
    heads = [
        split_header(header) if broken_headers and width_of(header) > width else [header]
        for header, width in zip([shown(column.header) for column in columns], wide, strict=True)
    ]
    widths = [max(width, *map(width_of, lines)) for width, lines in zip(wide, heads, strict=True)]
    height = max(map(len, heads))
    text = [aligned([[""] * (height - len(lines)) + lines for lines in heads], columns, widths, blank)]
    text.append(blank.join("-" * width for width in widths))
    text += [aligned(cells, columns, widths, blank) for cells in zip(*rows, strict=True)]
    return "\n".join(text)


def aligned(cells: Sequence[Sequence[str]], columns: Sequence[Column], widths: Sequence[int], blank: str) -> str:
    """One row, of as many lines as its tallest cell."""
    text = []
    for words in zip_longest(*cells, fillvalue=""):
        shares = zip(words, widths, columns, strict=True)
        text.append(blank.join(padded(word, width, column.number) for word, width, column in shares).rstrip())
    return "\n".join(text)


def fitted(columns: Sequence[Column], elsewhere: str = "--format json", roomy: bool = True) -> str:
    """A table of the page's width: words are folded, then the columns of the highest rank are left out, and a note
    names them. ``elsewhere`` has all of them. Not ``roomy``: in the tightest way at once."""
    kept = list(columns)
    while True:
        for gap, broken_headers, folds in LAYOUTS if roomy else LAYOUTS[-1:]:
            text = terminal(narrowed(kept, gap) if folds else kept, gap, broken_headers)
            if fits(text):
                return text + left_out(columns, kept, elsewhere)
        last = max(kept, key=lambda column: column.rank)
        if PAGE.get().whole or last.rank == 0:
            text = text if PAGE.get().whole else terminal(narrowed(kept, 1, NARROWEST), 1, broken_headers=True)
            return text + left_out(columns, kept, elsewhere)
        kept = [column for column in kept if column is not last]


def listing(columns: Sequence[Column], elsewhere: str = "--format json") -> str:
    """A table of one line a row in a file, as grep wants it; ``fitted`` for a terminal."""
    return terminal(columns, 2, broken_headers=False) if PAGE.get().whole else fitted(columns, elsewhere)


def ranked(columns: Sequence[Column]) -> list[Column]:
    """As they are where they have ranks; else what is to the right of the first number is left out from the right."""
    first = next((place for place, column in enumerate(columns) if column.number), 0)
    has_ranks = any(column.rank for column in columns)
    return [c if has_ranks else replace(c, rank=max(0, place - first)) for place, c in enumerate(columns)]


def narrowed(columns: Sequence[Column], gap: int, least: int = FOLDED) -> list[Column]:
    """The columns with words folded as little as the page's width asks for, and to ``least`` columns at most."""
    natural = [max(map(width_of, split_header(c.header) + lines_of(c)), default=0) for c in columns]
    room = PAGE.get().width - gap * (len(columns) - 1)
    room -= sum(width for column, width in zip(columns, natural, strict=True) if column.number)
    words = [width for column, width in zip(columns, natural, strict=True) if not column.number]
    limits = range(max(words, default=0), least, -1)
    limit = next((limit for limit in limits if sum(min(width, limit) for width in words) <= room), least)
    return [c if c.number else replace(c, cells=[narrow(cell, limit) for cell in c.cells]) for c in columns]


def lines_of(column: Column) -> list[str]:
    """Every line of its cells."""
    return [line for cell in column.cells for line in shown(cell).split("\n")]


def narrow(cell: str, width: int) -> str:
    """Its lines folded; words are broken where the page must be kept to."""
    lines = shown(cell).split("\n")
    if max(map(width_of, lines)) <= width:
        return cell
    words = not PAGE.get().whole
    return "\n".join(folded(line, width, indent(line), indent(line), hyphens=True, words=words) for line in lines)


def indent(line: str) -> str:
    """The blanks that it begins with."""
    return line[: len(line) - len(line.lstrip(" "))]


def left_out(columns: Sequence[Column], kept: Sequence[Column], elsewhere: str) -> str:
    """A note below a table that lacks columns; else nothing."""
    missing = ", ".join(column.header for column in columns if all(column is not other for other in kept))
    if not missing:
        return ""
    width = max(map(width_of, terminal(narrowed(columns, 1), 1, broken_headers=True).split("\n")))
    place = f"{elsewhere} and a terminal of {width} columns have them"
    return "\n\n" + wrapped(f"left out at {PAGE.get().width} columns: {missing} ({place})", rest="    ")


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
    """A cell of Markdown: nothing in it ends the cell or is HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """Lines of the page's width; ``first`` and ``rest`` are put before the first and the other lines."""
    return folded(text, PAGE.get().width, first, rest)


def hanging(first: str, text: str) -> str:
    """The text after ``first``, and below it where the page is too narrow; a page that keeps the whole has one line."""
    if PAGE.get().whole:
        return first + shown(text)
    return wrapped(text, first, " " * width_of(first.lstrip("\n")))


def broken(text: str, width: int, at_hyphens: bool = False) -> str:
    """In lines of at most ``width`` columns where blanks (or hyphens) allow it; as it is where ``width`` is 0."""
    return folded(text, width, hyphens=at_hyphens) if width else text


def fits(text: str) -> bool:
    """Whether no line is wider than the page."""
    return max(map(width_of, text.split("\n"))) <= PAGE.get().width


def terminal_page(title: str, tables: Iterable[str], blocks: Iterable[Block]) -> str:
    """A title, tables, and the blocks that have lines, for a terminal."""
    parts = [wrapped(title, rest="    "), *tables]
    for heading, lines in blocks:
        indent = "  " if heading else ""
        texts = [wrapped(line, indent, f"{indent}    ") for line in lines]
        parts.append("\n".join([wrapped(f"{heading}:", rest="  "), *texts] if heading and lines else texts))
    return "\n\n".join(filter(None, parts))


def bulleted(lines: Sequence[str]) -> str:
    """A list of Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def markdown_page(title: str, tables: Iterable[str], blocks: Iterable[Block]) -> str:
    """The same as GitHub shows it."""
    parts = [title, *tables]
    for heading, lines in blocks:
        texts = bulleted(lines)
        parts.append(f"**{heading}**\n\n{texts}" if heading and lines else texts)
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
        """For a terminal."""
        tables = [fitted(ranked(self.columns), "--format csv")] if self.rows else []
        return terminal_page(self.title, tables, [("", self.notes)])

    def as_markdown(self) -> str:
        """As GitHub shows it."""
        return markdown_page(f"**{self.title}**", [markdown(self.columns)] if self.rows else [], [("", self.notes)])


def plural(count: int, word: str) -> str:
    """``1 image``, ``1,200 images``."""
    return f"{count:,} {word}{'s' if count != 1 else ''}"


def first_names(names: Sequence[str], most: int = 5) -> str:
    """``a, b, c, d, e and 12 more``."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
