"""Rows as CSV: read back as they were by programs, and no formula in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sslbench.errors import escape

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")
"""what a spreadsheet takes for the beginning of a formula, or skips before one; the fullwidth forms in Japanese"""
LONE = re.compile("[\ud800-\udfff]")
"""half a character: a byte of a file's name that is no text"""


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """One line a row after the header; the columns are those of the first row unless they are named."""
    text = io.StringIO()
    names = columns or (list(rows[0]) if rows else [])
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(no_formula, names))
    writer.writerows([no_formula(flat(row.get(name))) for name in names] for row in rows)
    return text.getvalue().rstrip("\n")


def flat(value: Any) -> Any:
    """Lists and mappings as one cell."""
    if isinstance(value, Mapping):
        value = [f"{key}={item}" for key, item in value.items()]
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def no_formula(value: Any) -> Any:
    """A cell of CSV. Words that a spreadsheet would take for a formula have an apostrophe before them, and bytes that
    are no text are escaped; numbers are as they are, also negative ones."""
    if not isinstance(value, str):
        return value
    value = LONE.sub(lambda match: escape(match[0]), value)
    return f"'{value}" if value[1:] and value.startswith(FORMULA) and not is_number(value) else value


def is_number(text: str) -> bool:
    """Whether it is one as CSV has it."""
    try:
        float(text)
    except ValueError:
        return False
    return True
