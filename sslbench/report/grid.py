"""Text in columns: for a terminal, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


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
        lines = broken(column.header) if broken_headers and len(column.header) > wide else [column.header]
        heads.append(lines)
        widths.append(max(wide, *map(len, lines)))
    height = max(map(len, heads))
    text = [aligned([[""] * (height - len(lines)) + lines for lines in heads], columns, widths, blank)]
    text.append(blank.join("-" * width for width in widths))
    for place in range(len(columns[0].cells)):
        text.append(aligned([column.cells[place].split("\n") for column in columns], columns, widths, blank))
    return "\n".join(text)


def aligned(cells: Sequence[Sequence[str]], columns: Sequence[Column], widths: Sequence[int], blank: str) -> str:
    """One row, of as many lines as its tallest cell."""
    text = []
    for place in range(max(map(len, cells))):
        words = [lines[place] if place < len(lines) else "" for lines in cells]
        padded = [
            word.rjust(width) if column.number else word.ljust(width)
            for word, width, column in zip(words, widths, columns, strict=True)
        ]
        text.append(blank.join(padded).rstrip())
    return "\n".join(text)


def broken(header: str) -> list[str]:
    """Two lines, as even as they can be: ``few_label`` and ``top1@2``; one line where two save no room."""
    splits = [
        [header[: found.start()], header[found.end() :]] if found[0] in " _" else [header[: found.end()], rest]
        for found in re.finditer(r"[ _/-]", header)
        if found.start() > 0 and (rest := header[found.end() :])
    ]
    best = min(splits, key=lambda lines: max(map(len, lines)), default=[header])
    return best if max(map(len, best)) < len(header) - 1 else [header]


def markdown(columns: Sequence[Column]) -> str:
    """A table as GitHub shows it."""
    lines = [
        [escaped(column.header) for column in columns],
        ["---:" if column.number else ":---" for column in columns],
        *([escaped(column.cells[place]) for column in columns] for place in range(len(columns[0].cells))),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
