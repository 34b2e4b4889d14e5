"""A user's table of features and two labels, as arrays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.table_file import read_columns

LARGEST = 1e100
"""size of a feature; squares of larger ones overflow"""
FEWEST = 5
"""rows of a label, so that both parts of a split by four to one have one"""


@dataclass(frozen=True)
class Labelled:
    """Features ``[N, D]`` and whether each row is positive, bool ``[N]``."""

    features: NDArray[np.float64]
    positive: NDArray[np.bool_]


def read_labelled(path: str, label: str, positive: str) -> Labelled:
    """A user's table. Raises UserError for anything but numbers, two labels and enough of both."""
    columns = read_columns(path, "features", (label,))
    labels = [str(value) for value in columns.pop(label)]
    counts = Counter(labels)
    values = sorted(counts, key=lambda value: (counts[value], value))
    if len(values) != 2:
        shown = ", ".join(values[:5])
        raise UserError(f"features = {path!r}: column {label!r} has {len(values)} labels ({shown}); expected two")
    if positive and positive not in values:
        raise UserError(f"positive = {positive!r}: column {label!r} has the labels {', '.join(values)}")
    if (fewest := counts[values[0]]) < FEWEST:
        raise UserError(f"features = {path!r}: label {values[0]!r} has {fewest} rows; at least {FEWEST} are needed")
    for name, cells in columns.items():
        if not all(isinstance(cell, (int, float)) and np.isfinite(cell) for cell in cells):
            raise UserError(f"features = {path!r}: column {name!r} has values that are no finite numbers")
        if max(map(abs, cells)) > LARGEST:
            raise UserError(f"features = {path!r}: column {name!r} has values beyond {LARGEST:g} in size")
    if not columns:
        raise UserError(f"features = {path!r}: there is no column of features beside {label!r}")
    matrix = np.array(list(columns.values()), dtype=np.float64).T
    return Labelled(matrix, np.array([value == (positive or values[0]) for value in labels]))
