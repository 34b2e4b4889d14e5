"""Labels in a table: a CSV file with the columns ``path`` and ``label``, and ``split`` where it has one."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.class_folders import TEST, LabelledFiles

NAMED = 3
"""mistakes that a message names one by one"""


@dataclass(frozen=True)
class LabelTable:
    """The rows of a CSV file, in their order."""

    train: LabelledFiles
    test: LabelledFiles | None
    """where a column ``split`` is test, val, valid or validation; None without such rows"""


@dataclass(frozen=True)
class TableRow:
    """One row below the first."""

    line: int
    """its number in the file"""
    text: str
    """the path as it is written"""
    path: Path
    label: str
    is_test: bool


def read_table(file: Path, root: Path) -> LabelTable:
    """Paths are relative to ``root``, or to the file's own folder, or absolute. Raises UserError with one line for each
    kind of mistake, and loads no image."""
    rows = read_rows(file, root)
    check_rows(rows, file, root)
    train, test = (
        LabelledFiles([r.path for r in rows if r.is_test is side], [r.label for r in rows if r.is_test is side])
        for side in (False, True)
    )
    if not train.paths:
        raise UserError(f"labels={file}: every row is of the test split; none is left to train on")
    return LabelTable(train, test if test.paths else None)


def read_rows(file: Path, root: Path) -> list[TableRow]:
    """All rows. Raises UserError for a file that cannot be read, lacks a column, or has no row."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"labels={file} cannot be read: {error}") from None
    if "path" not in columns or "label" not in columns:
        given = ", ".join(columns) or "nothing"
        raise UserError(f"labels={file}: its first line names the columns path and label; it has {given}")
    if not lines:
        raise UserError(f"labels={file} has no row below its first line")
    return [table_row(line, number, root, file.parent) for number, line in enumerate(lines, start=2)]


def table_row(cells: dict[str, str | None], line: int, root: Path, beside: Path) -> TableRow:
    """One row, its path looked for below the root first and then beside the table."""
    path, label, split = ((cells.get(name) or "").strip() for name in ("path", "label", "split"))
    below = root / path
    found_beside = not below.is_file() and (beside / path).is_file()
    return TableRow(line, cells["path"] or "", beside / path if found_beside else below, label, split.lower() in TEST)


def check_rows(rows: list[TableRow], file: Path, root: Path) -> None:
    """Raises UserError for images that are missing, rows without a label, and images with two."""
    first_lines: dict[Path, int] = {}
    missing: list[str] = []
    blank: list[str] = []
    twice: list[str] = []
    for row in rows:
        position = f"line {row.line}: {row.text}"
        if not row.path.is_file():
            missing.append(position)
        elif not row.label:
            blank.append(position)
        elif row.path in first_lines:
            twice.append(f"{position}, as line {first_lines[row.path]}")
        else:
            first_lines[row.path] = row.line
    kinds = {f"name no image below {root}": missing, "have no label": blank, "name an image again": twice}
    messages = [
        f"labels={file}: {len(lines)} of {len(rows)} rows {kind} ({shortened(lines)})"
        for kind, lines in kinds.items()
        if lines
    ]
    if messages:
        raise UserError(*messages)


def shortened(lines: list[str]) -> str:
    """The first few, and that there are more."""
    return "; ".join(lines[:NAMED]) + (", ..." if len(lines) > NAMED else "")
