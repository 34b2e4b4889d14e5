"""A table of a simulator as text: cut into blocks of columns that fit a terminal, numbers rounded column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sslbench.report.numbers import NOTHING, decimals, fixed, three_digits
from sslbench.report.screen import PAGE, width_of
from sslbench.report.text import Column, broken, fits, markdown, plural, terminal, wrapped

LONGEST, LONG_CELL, LISTED = 60, 64, 16
"""rows of a table, characters of a line of a cell, and items of a list that are printed; the rest is left to JSON"""
Rows = Sequence[Mapping[str, Any]]


def table(rows: Rows, as_markdown: bool = False) -> str:
    """The rows in columns, reasons of what is undefined below; a long table is only described."""
    if not rows:
        return "no rows"
    names = [name for name in rows[0] if name != "reason"]
    if len(rows) > LONGEST:
        return wrapped(f"{plural(len(rows), 'row')}, in --format json: {', '.join(names)}")
    if as_markdown:
        text = markdown([column(name, rows) for name in names])
    else:
        text = "\n\n".join(block(columns, rows) for columns in blocks_that_fit(names, rows))
    reasons = [row["reason"] for row in rows if row.get("reason")]
    notes = [
        f"{NOTHING} {reason}" + (f" ({count} rows)" if (count := reasons.count(reason)) > 1 else "")
        for reason in dict.fromkeys(reasons)
    ]
    return "\n".join([text, *([""] if notes else []), *notes])


def blocks_that_fit(names: list[str], rows: Rows) -> list[list[str]]:
    """The columns in as few blocks as fit the terminal, about equally wide; each block begins with the columns that
    identify a row."""
    if fits(block(names, rows)):
        return [names]
    lengths = range(1, len(names))
    keys = next((n for n in lengths if len({tuple(str(row[k]) for k in names[:n]) for row in rows}) == len(rows)), 0)
    width = PAGE.get().width
    blocks = cut(names, keys, rows, width)
    narrower = (cut(names, keys, rows, limit) for limit in range(width // 2, width, 4))
    return next((even for even in narrower if len(even) == len(blocks)), blocks)


def cut(names: list[str], keys: int, rows: Rows, limit: int) -> list[list[str]]:
    """Blocks of columns, each filled up to ``limit`` characters, after the first ``keys`` columns in every one."""
    blocks: list[list[str]] = []
    for name in names[keys:]:
        if blocks and max(map(width_of, block([*blocks[-1], name], rows).split("\n"))) <= limit:
            blocks[-1].append(name)
        else:
            blocks.append([*names[:keys], name])
    return blocks


def block(names: list[str], rows: Rows) -> str:
    """Some columns as text."""
    columns = [column(name, rows) for name in names]
    short = [replace(item, cells=[broken(cell, LONG_CELL) for cell in item.cells]) for item in columns]
    return terminal(short, gap=2, broken_headers=True)


def column(name: str, rows: Rows) -> Column:
    """Its cells, all numbers to the same precision."""
    values = [row[name] for row in rows]
    is_number = any(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    floats = [value for value in values if isinstance(value, float)]
    return Column(name.replace("_", " "), [cell(value, floats) for value in values], is_number)


def cell(value: Any, floats: Sequence[float]) -> str:
    """One value as text; ``floats`` are all those of its column."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value, floats)
    if isinstance(value, (list, tuple)):
        items = " ".join(map(str, value[:LISTED]))
        return f"{items} ... ({len(value)})" if len(value) > LISTED else items
    return str(value)


def number(value: float, column: Sequence[float]) -> str:
    """As it is where the whole column is short; else to decimals that fit the column, or to three digits."""
    if all(item == int(item) for item in column):
        return f"{value:,.0f}"
    if all(float(f"{item:.4g}") == item for item in column):
        return f"{value:g}"
    sizes = [abs(item) for item in column if item]
    if max(sizes) > 1000 * min(sizes) or max(sizes) < 1e-6:
        return three_digits(value)
    text = fixed(value, decimals(column))
    return text.removeprefix("-") if float(text) == 0 else text
