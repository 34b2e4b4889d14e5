"""Scores that balance lag and variance, and which momentum wins by each. Lower is better throughout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from sslbench_plugins.blocks.studies.results import Row, best_keys
from sslbench_plugins.simulators.momentum_dynamics.encoders import STARTS, Floats, Trajectories

LAGS = {"L2 distance": "l2_distance", "staleness in steps": "staleness_steps"}
"""what lag means -> the quantity whose mean it is"""
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


def momentum_scores(paths: Trajectories, start: str, lag: str) -> tuple[list[float], dict[str, Score]]:
    """The momenta of one start, ascending, and each score of their mean ``lag`` and their last variance over time."""
    momenta = sorted(m for path_start, m in paths if path_start == start)
    lags = np.array([paths[start, m][LAGS[lag]].mean() for m in momenta])
    return momenta, scores(lags, np.array([paths[start, m]["variance_over_time"][-1] for m in momenta]))


def trade_off_rows(paths: Trajectories) -> list[Row]:
    """Each score of each lag and start, with its winner; ties named."""
    rows = []
    for start in STARTS:
        for lag in LAGS:
            momenta, results = momentum_scores(paths, start, lag)
            for name, score in results.items():
                best = names(momenta[index] for index in winners(score.values))
                row: Row = {"start": start, "lag": lag, "score": name, "winner": best or None}
                row |= {f"value_at_{m:g}": value for m, value in zip(momenta, score.values, strict=True)}
                rows.append({**row, "reason": score.reason})
    return rows


def names(momenta: Iterable[float]) -> str:
    """``0.99 and 0.999``; empty for none."""
    return " and ".join(f"{m:g}" for m in momenta)


def tally(words: Iterable[str], preposition: str, separator: str) -> str:
    """``0.99 in 3; 0.9 in 1``: how often each word occurs, the most frequent first."""
    return separator.join(f"{word} {preposition} {count}" for word, count in Counter(words).most_common())
