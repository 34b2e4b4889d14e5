"""Scores that balance two costs, such as lag and variance, and who wins by each. Lower is better throughout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scored = tuple[list[float | None], str]
"""the value of each candidate, None where it is undefined, and then why"""
SCORES = ("scaled sum", "scaled product", "plain product", "knee")


def scores(first: Floats, second: Floats) -> dict[str, Scored]:
    """Each of ``SCORES`` for candidates with the costs ``first`` and ``second``, ``[N]`` each.

    ``scaled sum`` and ``scaled product``: of both costs scaled so that the smallest is 0 and the largest 1;
    ``plain product``: of the costs as they are; ``knee``: minus the distance from the line between the two ends, both
    costs on log axes, each scaled to 0..1. Raises ValueError where the lengths differ or are 0.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"costs of shapes {first.shape} and {second.shape}; expected two [N] of one length, not 0")
    nothing: list[float | None] = [None] * len(first)
    if len(first) == 1:
        return dict.fromkeys(SCORES, (nothing, "one candidate alone has nothing to be weighed against"))
    one, other = min_max_scaled(first), min_max_scaled(second)
    found: dict[str, Scored] = {}
    if one is None or other is None:
        flat = "a cost is the same for all: it cannot be scaled to 0..1"
        found = {"scaled sum": (nothing, flat), "scaled product": (nothing, flat)}
    else:
        found = {"scaled sum": ((one + other).tolist(), ""), "scaled product": ((one * other).tolist(), "")}
    return found | {"plain product": ((first * second).tolist(), ""), "knee": knee(first, second)}


def min_max_scaled(values: Floats) -> Floats | None:
    """``[N]`` with the smallest at 0 and the largest at 1; None where all are equal."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else None


def knee(first: Floats, second: Floats) -> Scored:
    """Minus the distance of each point from the line between the ends, on either side, on scaled log axes.

    The ends are those of ``first``. Undefined for fewer than three points, costs of 0, and points on one line.
    """
    nothing: list[float | None] = [None] * len(first)
    if len(first) < 3 or first.min() <= 0 or second.min() <= 0:
        return nothing, "a knee needs three candidates or more, with costs above 0"
    x, y = min_max_scaled(np.log(first)), min_max_scaled(np.log(second))
    if x is None or y is None:
        return nothing, "a cost is the same for all: the curve has no knee"
    start, end = np.argmin(x), np.argmax(x)
    run, rise = x[end] - x[start], y[end] - y[start]
    away = np.abs((y - y[start]) * run - (x - x[start]) * rise) / np.hypot(run, rise)
    if away.max() <= 1e-12:
        return nothing, "the candidates lie on one line: the curve has no knee"
    return (0.0 - away).tolist(), ""


def winners(values: Sequence[float | None]) -> list[int]:
    """Places of the lowest value, ties to within 1e-12 included; empty where nothing is defined."""
    known = [value for value in values if value is not None]
    return [place for place, value in enumerate(values) if value is not None and value <= min(known) + 1e-12]
