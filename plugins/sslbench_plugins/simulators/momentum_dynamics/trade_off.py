"""Scores that balance two costs, such as lag and variance, and who wins by each. Lower is better throughout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sslbench_plugins.blocks.studies.tables import best_keys

Floats = NDArray[np.float64]
SCORES = ("scaled sum", "scaled product", "plain product", "knee")
STRAIGHT = 1e-12
"""distance from a line that is rounding"""


class Score(NamedTuple):
    """The value of each candidate, None where it is undefined, and then why."""

    values: list[float | None]
    reason: str = ""


def scores(first: Floats, second: Floats) -> dict[str, Score]:
    """Each of ``SCORES`` for candidates with the costs ``first`` and ``second``, ``[N]`` each.

    ``scaled sum`` and ``scaled product``: of both costs scaled so that the smallest is 0 and the largest 1;
    ``plain product``: of the costs as they are; ``knee``: minus the distance from the line between the two ends, both
    costs on log axes, each scaled to 0..1. Raises ValueError where the lengths differ or are 0.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"costs of shapes {first.shape} and {second.shape}; expected two [N] of one length, not 0")
    undefined: list[float | None] = [None] * len(first)
    if len(first) == 1:
        return dict.fromkeys(SCORES, Score(undefined, "one candidate alone has nothing to be weighed against"))
    x, y = min_max_scaled(first), min_max_scaled(second)
    if x is None or y is None:
        scaled_sum = scaled_product = Score(undefined, "a cost is the same for all: it cannot be scaled to 0..1")
    else:
        scaled_sum, scaled_product = Score((x + y).tolist()), Score((x * y).tolist())
    values = (scaled_sum, scaled_product, Score((first * second).tolist()), knee(first, second))
    return dict(zip(SCORES, values, strict=True))


def min_max_scaled(values: Floats) -> Floats | None:
    """``[N]`` with the smallest at 0 and the largest at 1; None where all are equal."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else None


def knee(first: Floats, second: Floats) -> Score:
    """Minus the distance of each point from the line between the ends, on either side, on scaled log axes.

    The ends are those of ``first``. Undefined for fewer than three points, costs of 0, and points on one line.
    """
    undefined: list[float | None] = [None] * len(first)
    if len(first) < 3 or first.min() <= 0 or second.min() <= 0:
        return Score(undefined, "a knee needs three candidates or more, with costs above 0")
    x, y = min_max_scaled(np.log(first)), min_max_scaled(np.log(second))
    if x is None or y is None:
        return Score(undefined, "a cost is the same for all: the curve has no knee")
    start, end = np.argmin(x), np.argmax(x)
    run, rise = x[end] - x[start], y[end] - y[start]
    distance = np.abs((y - y[start]) * run - (x - x[start]) * rise) / np.hypot(run, rise)
    if distance.max() <= STRAIGHT:
        return Score(undefined, "the candidates lie on one line: the curve has no knee")
    return Score((0.0 - distance).tolist())


def winners(values: Sequence[float | None]) -> list[int]:
    """Indices of the lowest value, ties included; empty where nothing is defined."""
    return best_keys(dict(enumerate(values)), min)
