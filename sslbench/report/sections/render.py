"""The sections that are asked for, as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sslbench.errors import UserError
from sslbench.report.aggregate import aggregate
from sslbench.report.comma_separated import as_csv
from sslbench.report.majority import in_words
from sslbench.report.sections.correlations import correlations
from sslbench.report.sections.curves import curves
from sslbench.report.sections.pairs import pairs
from sslbench.report.sections.published import published
from sslbench.report.sections.spread import statistics
from sslbench.report.text import Section
from sslbench.report.view import View
from sslbench.store.record import SCHEMA, Record

SECTIONS: dict[str, Callable[[View], Section]] = {
    "statistics": statistics,
    "pairs": pairs,
    "correlations": correlations,
    "curves": curves,
    "published": published,
}
"""name -> what makes it of the records"""
OF_ACCURACIES = ("statistics", "pairs", "curves", "published")
"""those below which stands what a constant answer gets"""


def render_sections(records: Sequence[Record], names: Sequence[str], fmt: str, suite: str, folder: Path) -> str:
    """Some of ``SECTIONS`` as text, without a newline at the end. ``folder``: where the records lie. ``fmt``: as of
    ``tables.render``; ``csv`` has one section. Raises UserError for more."""
    if fmt == "csv" and len(names) > 1:
        raise UserError(f"--format csv holds one table; given: {', '.join(f'--{name}' for name in names)}")
    view = View(aggregate(records), folder)
    sections = {name: SECTIONS[name](view) for name in names}
    if fmt == "json":
        rows = {name: list(section.rows) for name, section in sections.items()}
        return json.dumps({"schema": SCHEMA, "suite": suite, **rows}, indent=1, allow_nan=False)
    if fmt == "csv":
        return as_csv(next(iter(sections.values())).rows)
    notes = list(map(in_words, view.majorities))
    noted = [
        replace(section, notes=[*section.notes, *notes]) if section.rows and name in OF_ACCURACIES else section
        for name, section in sections.items()
    ]
    texts = [section.as_table() if fmt == "table" else section.as_markdown() for section in noted]
    return "\n\n".join(texts)
