"""Tables beside the main one: each answers one question about the same records."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslbench.errors import UserError
from sslbench.report.text import Column, markdown, terminal
from sslbench.report.rows import Record

if TYPE_CHECKING:
    from sslbench.report.view import View


@dataclass(frozen=True)
class Section:
    """One table: for programs, for people, and what to know about it."""

    title: str
    rows: Sequence[Mapping[str, Any]]
    """unrounded, all with the same keys, JSON-able"""
    columns: Sequence[Column]
    """the same rows, rounded, in words"""
    notes: Sequence[str]
    """with no row: what is missing, and how to get it"""


def render_sections(records: Sequence[Record], names: Sequence[str], fmt: str, suite: str, folder: Path) -> str:
    """The named sections as text, without a newline at the end.

    ``names``: of ``statistics``, ``pairs``, ``correlations``, ``curves`` and ``published``. ``folder``: where the
    records lie, with what is kept beside them. ``fmt``: as ``render``; ``csv`` has one section. Raises UserError for
    more.
    """
    if fmt == "csv" and len(names) > 1:
        raise UserError(f"--format csv holds one table; given: {', '.join(f'--{name}' for name in names)}")
    from sslbench.report.aggregate import aggregate
    from sslbench.report.view import View

    view = View(aggregate(records))
    found = {name: build(name, view, folder) for name in names}
    if fmt == "json":
        document = {"schema": 1, "suite": suite, **{name: list(one.rows) for name, one in found.items()}}
        return json.dumps(document, indent=1, allow_nan=False)
    if fmt == "csv":
        return as_csv(next(iter(found.values())).rows)
    return "\n\n".join((as_table if fmt == "table" else as_markdown)(one) for one in found.values())


def build(name: str, view: View, folder: Path) -> Section:
    from sslbench.report.sections.correlations import correlations
    from sslbench.report.sections.curves import curves
    from sslbench.report.sections.pairs import pairs
    from sslbench.report.sections.published import published
    from sslbench.report.sections.spread import statistics

    if name == "pairs":
        return pairs(view, folder)
    of: dict[str, Callable[[View], Section]] = {
        "statistics": statistics,
        "correlations": correlations,
        "curves": curves,
        "published": published,
    }
    return of[name](view)


def as_table(section: Section) -> str:
    from sslbench.report.tables import wrapped

    parts = [wrapped(section.title)]
    if section.rows:
        parts.append(fitting(section.columns))
    if section.notes:
        parts.append("\n".join(map(wrapped, section.notes)))
    return "\n\n".join(parts)


def fitting(columns: Sequence[Column]) -> str:
    """The roomiest table that fits; the tightest one where none does."""
    from sslbench.report.tables import WIDTH

    for wide in (0, 30, 20, 13):
        cut = [
            column if column.number else replace(column, cells=[broken(c, wide) for c in column.cells])
            for column in columns
        ]
        text = terminal(cut, 1 if wide else 2, wide > 0)
        if max(map(len, text.split("\n"))) <= WIDTH:
            break
    return text


def as_markdown(section: Section) -> str:
    parts = [f"**{section.title}**"]
    if section.rows:
        parts.append(markdown(section.columns))
    if section.notes:
        parts.append("\n".join(f"- {note}" for note in section.notes))
    return "\n\n".join(parts)
