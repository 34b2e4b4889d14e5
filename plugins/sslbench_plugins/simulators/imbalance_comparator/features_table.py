"""Features with two labels: a user's table, or the generated ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench import UserError
from sslbench_plugins.blocks.studies.user_data import read_columns

LARGEST = 1e100
"""size of a feature; squares of larger ones overflow"""
FEWEST = 5
"""rows of a label, so that both parts of a split by four to one have one"""


@dataclass(frozen=True)
class Labelled:
    """Features ``[N, D]`` and whether each row is positive, bool ``[N]``."""

    features: NDArray[np.float64]
    positive: NDArray[np.bool_]


def generated(seed: int) -> Labelled:
    """970 negatives normal(0, 1) in 10 dimensions, then 30 positives normal(1, 1.5)."""
    rng = RandomState(seed)
    features = np.concatenate([rng.normal(0, 1, (970, 10)), rng.normal(1, 1.5, (30, 10))])
    return Labelled(features, np.arange(1000) >= 970)


def read_labelled(path: str, label: str, positive: str) -> Labelled:
    """A user's table. Raises UserError for anything but numbers, two labels and enough of both.

    ``positive`` is the label that is positive; empty: the rarer one.
    """
    columns = read_columns(path, "features", (label,))
    labels = [str(value) for value in columns.pop(label)]
    rarer = check_labels(labels, path, label, positive)
    for name, cells in columns.items():
        check_numbers(name, cells, path)
    if not columns:
        raise UserError(f"features = {path!r}: there is no column of features beside {label!r}")
    matrix = np.array(list(columns.values()), dtype=np.float64).T
    return Labelled(matrix, np.array([value == (positive or rarer) for value in labels]))


def check_labels(labels: list[str], path: str, column: str, positive: str) -> str:
    """The rarer of two labels. Raises UserError where there are not two, with enough rows each."""
    counts = Counter(labels)
    values = sorted(counts, key=lambda value: (counts[value], value))
    if len(values) != 2:
        shown = ", ".join(values[:5])
        raise UserError(f"features = {path!r}: column {column!r} has {len(values)} labels ({shown}); expected two")
    if positive and positive not in values:
        raise UserError(f"positive = {positive!r}: column {column!r} has the labels {', '.join(values)}")
    if (fewest := counts[values[0]]) < FEWEST:
        raise UserError(f"features = {path!r}: label {values[0]!r} has {fewest} rows; at least {FEWEST} are needed")
    return values[0]


def check_numbers(name: str, cells: list[Any], path: str) -> None:
    """Raises UserError for a column with anything but finite numbers of a reasonable size."""
    if not all(isinstance(cell, (int, float)) and np.isfinite(cell) for cell in cells):
        raise UserError(f"features = {path!r}: column {name!r} has values that are no finite numbers")
    if max(map(abs, cells)) > LARGEST:
        raise UserError(f"features = {path!r}: column {name!r} has values beyond {LARGEST:g} in size")
