"""What a page holds, before it is HTML: sections of lines, tables, charts, pictures and downloads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from sslbench.report.charts.drawing import svg_of, vega_lite
from sslbench.report.charts.panel import WIDE, Panel
from sslbench.report.numbers import NOTHING
from sslbench.report.text import Column

MARKS = {"*": "best", "=": "tie"}
"""what a cell may begin with -> the class of the cell"""
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
LARGE = {"k": 1e3, "M": 1e6, "T": 1e12}
"""letters after a number, as ``three_digits`` writes them"""


@dataclass(frozen=True)
class Lines:
    """Sentences, one below the other."""

    kind: ClassVar[str] = "lines"
    lines: Sequence[str]
    heading: str = ""
    quiet: bool = False
    """whether it explains what others show"""


@dataclass(frozen=True)
class Code:
    """What is typed into a shell, or was."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    mark: str = ""
    """``best`` or ``tie``"""


@dataclass(frozen=True)
class Table:
    """Columns with the words that say what they are of."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Column]
    names: Sequence[Mapping[str, str]] = ()
    """of each row, by kind of plugin: what the filters of the page go by; a row without any stays"""
    notes: Sequence[str] = ()
    prose: bool = False
    """whether cells hold sentences, which have several lines"""
    folded: bool = False
    """whether only those who ask for it see it, where scripts run"""

    @property
    def sortable(self) -> bool:
        """Whether another order of its rows says more."""
        return not self.prose and len(self._texts) > 2

    @property
    def rows(self) -> list[list[Cell]]:
        """From top to bottom."""
        return [[cell_of(cell, column) for cell, column in zip(row, self.columns, strict=True)] for row in self._texts]

    @property
    def _texts(self) -> list[tuple[str, ...]]:
        return list(zip(*(column.cells for column in self.columns), strict=True))

    @cached_property
    def orders(self) -> list[str]:
        """Of each column: the numbers of the rows in its order, the highest number or the first word first."""
        return [" ".join(map(str, order_of(column))) for column in self.columns]


@dataclass(frozen=True)
class Drawing:
    """A chart: SVG for every reader, and what vega-embed makes of it where scripts run."""

    kind: ClassVar[str] = "drawing"
    id: str
    """its address in the page; the page gives it"""
    title: str
    description: str
    """what is seen, for a reader who cannot see it"""
    svg: str
    spec: Mapping[str, Any]
    """Vega-Lite"""
    width: int
    kinds: Sequence[str] = ()
    """of plugins, by which it can be filtered"""

    @property
    def wide(self) -> bool:
        """Whether it has a line for itself."""
        return self.width >= WIDE

    @classmethod
    def of(cls, panel: Panel, kinds: Sequence[str] = ()) -> Drawing:
        """Drawn."""
        spec = vega_lite(panel)
        return cls("", panel.title, panel.description, svg_of(spec, panel.width), spec, panel.width, kinds)


@dataclass(frozen=True)
class Gallery:
    """Pictures with their captions."""

    kind: ClassVar[str] = "gallery"
    pictures: Sequence[Image]
    heading: str = ""


@dataclass(frozen=True)
class Image:
    """One picture."""

    source: str
    """a ``data:`` address"""
    caption: str


@dataclass(frozen=True)
class Download:
    """A file that the page holds."""

    kind: ClassVar[str] = "download"
    name: str
    source: str
    """a ``data:`` address"""
    text: str


Part = Lines | Code | Table | Drawing | Gallery | Download


@dataclass(frozen=True)
class Section:
    """One heading and what is below it."""

    id: str
    """of one word, which is its address in the page"""
    title: str
    parts: Sequence[Part]
    intro: str = ""
    """a sentence that says how to read it"""


@dataclass(frozen=True)
class Chapter:
    """What one results folder holds of one kind; the only one of most pages."""

    id: str
    """its address in the page; the page gives it"""
    title: str
    lead: Sequence[str]
    """sentences, the answer first"""
    subject: str
    """what all results have in common: data, seeds, settings"""
    sections: Sequence[Section]
    concludes: bool = False
    """whether it says what the runs of its folder come to, and stands above them"""


@dataclass(frozen=True)
class Page:
    """All of it."""

    title: str
    chapters: Sequence[Chapter]
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """kind of plugin -> its names, of which the page shows one or all"""
    recipes: Sequence[str] = ()
    """those that can be pointed out"""


def cell_of(text: str, column: Column) -> Cell:
    """With its mark, if it has one."""
    mark = MARKS.get(text[:1], "") if column.number else ""
    return Cell(text, mark)


def order_of(column: Column) -> list[int]:
    """The rows of a column as they are sorted: numbers from the highest, words by the alphabet, what is empty last."""
    cells = list(column.cells)
    if not column.number:
        return sorted(range(len(cells)), key=lambda row: (cells[row] in ("", NOTHING), cells[row].casefold()))
    values = [number_in(cell) for cell in cells]
    return sorted(range(len(cells)), key=lambda row: (values[row] is None, -(values[row] or 0.0)))


def number_in(text: str) -> float | None:
    """The first number of a cell, such as 1200 of ``*1.2k``; None where there is none."""
    found = NUMBER.search(text.replace(",", ""))
    if found is None or text == NOTHING:
        return None
    after = text.replace(",", "")[found.end() : found.end() + 1]
    return float(found[0]) * LARGE.get(after, 1.0)
