"""A table beside the main one, for programs and for people: it answers one question about the same records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sslbench.report.text import Column, broken, fits, markdown, terminal, wrapped

WIDTHS = (0, 30, 20, 13)
"""at which words are broken until the table fits; 0: never"""


@dataclass(frozen=True)
class Section:
    """One table: for programs, for people, and what to know about it."""

    title: str
    rows: Sequence[Mapping[str, Any]] = ()
    """unrounded, all with the same keys, JSON-able"""
    columns: Sequence[Column] = ()
    """the same rows, rounded, in words"""
    notes: Sequence[str] = ()
    """with no row: what is missing, and how to get it"""

    def as_table(self) -> str:
        """For a terminal."""
        parts = [wrapped(self.title, rest="    ")]
        if self.rows:
            parts.append(fitting(self.columns))
        if self.notes:
            parts.append("\n".join(wrapped(note, rest="    ") for note in self.notes))
        return "\n\n".join(parts)

    def as_markdown(self) -> str:
        """As GitHub shows it."""
        parts = [f"**{self.title}**"]
        if self.rows:
            parts.append(markdown(self.columns))
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join(parts)


def fitting(columns: Sequence[Column]) -> str:
    """The roomiest table that fits; the tightest one where none does."""
    for width in WIDTHS:
        text = terminal(broken_at(columns, width), 1 if width else 2, width > 0)
        if fits(text):
            break
    return text


def broken_at(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns with their words in lines of at most that many characters."""
    return [
        column if column.number else replace(column, cells=[broken(cell, width) for cell in column.cells])
        for column in columns
    ]
