"""Rows of parquet files: encoded images and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sslbench import UserError
from sslbench_plugins.datasets.parquet.layout import ParquetParams, columns_of, opened, parquet_module


@dataclass(frozen=True)
class Rows:
    """Some rows, in the order of the files."""

    images: list[bytes]
    """encoded, empty where there is none"""
    labels: list[Any]
    """as they are in the file"""
    titles: list[str]
    """file and row of each, for messages"""
    classes: list[str] | None
    """names of the classes, where a schema has them"""


def read_rows(files: Sequence[Path], params: ParquetParams) -> Rows:
    """All rows of the files. Raises UserError for a file that cannot be read or lacks a column."""
    rows = Rows([], [], [], None)
    classes: list[str] | None = None
    for file in files:
        columns = columns_of(file, params)
        table = opened(file, partial(parquet_module().read_table, columns=[columns.image, columns.label]))
        cells = table.column(columns.image).to_pylist()
        rows.images.extend((cell.get("bytes") if isinstance(cell, dict) else cell) or b"" for cell in cells)
        rows.labels.extend(table.column(columns.label).to_pylist())
        rows.titles.extend(f"{file.name} row {row}" for row in range(len(cells)))
        classes = classes or columns.classes
    return Rows(rows.images, rows.labels, rows.titles, classes)


def has_labels(files: Sequence[Path], params: ParquetParams) -> bool:
    """Whether any label is known: published test sets often have -1, or nothing, for every image."""
    for file in files:
        label = columns_of(file, params).label
        column = opened(file, partial(parquet_module().read_table, columns=[label])).column(label)
        if any(value not in (None, -1) for value in column.to_pylist()):
            return True
    return False


def numbered(labels: list[Any], names: list[str] | None, where: str) -> tuple[list[int], list[str]]:
    """Labels 0..C-1 and class names. Integers with names stay as they are; anything else is numbered in order.

    Raises UserError for missing labels, and for integers that have no name.
    """
    if any(label is None for label in labels):
        raise UserError(f"{where}: {sum(label is None for label in labels)} labels are missing")
    if names and all(isinstance(label, int) for label in labels):
        beyond = sorted({label for label in labels if not 0 <= label < len(names)})
        if beyond:
            raise UserError(f"{where}: label {beyond[0]} is none of the {len(names)} classes, 0..{len(names) - 1}")
        return labels, names
    classes = sorted(set(labels))
    numbers = {label: number for number, label in enumerate(classes)}
    return [numbers[label] for label in labels], [str(label) for label in classes]
