"""An online encoder that takes noisy steps and its momentum encoder, what is measured of the two, and scores that
balance lag and variance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench_plugins.blocks.studies.results import TIE, Row, best_keys

Floats = NDArray[np.float64]
STARTS = {"as written": 1.0, "copied": 0.0}
"""where the target starts; the online encoder starts at 0"""
Trajectory = dict[str, NDArray[Any]]
"""quantity -> its value after each step, ``[steps]``"""
Trajectories = Mapping[tuple[str, float], Trajectory]
"""(start, momentum) -> what is measured"""
PART = 1 << 22
"""distances held at once"""
LAGS = {"L2 distance": "l2_distance", "staleness in steps": "staleness_steps"}
"""what lag means -> the quantity whose mean it is"""
SCORES = ("scaled sum", "scaled product", "plain product", "knee")


def online_path(seed: int, steps: int, parameters: int, noise: float) -> Floats:
    """The online encoder, ``[steps + 1, parameters]``: 0, then a normal(0, noise) step after another."""
    drawn = RandomState(seed).normal(0, noise, (steps, parameters))
    return np.concatenate([np.zeros((1, parameters)), drawn.cumsum(axis=0)])


def moving_average(online: Floats, m: float, start: float) -> Floats:
    """The target after each step, ``[steps, parameters]``: ``target = m * target + (1 - m) * online``. ``online``
    ``[steps + 1, parameters]`` with its own start first; the target starts at ``start`` in every parameter. Raises
    ValueError for m outside [0, 1)."""
    if not 0 <= m < 1:
        raise ValueError(f"momentum {m}; allowed are 0 up to, but not including, 1")
    target = np.full(online.shape[1], start)
    path: Floats = np.empty_like(online[1:])
    for step, parameters in enumerate(online[1:]):
        target = m * target + (1 - m) * parameters
        path[step] = target
    return path


def lag(online: Floats, target: Floats) -> Floats:
    """L2 distance of target and online encoder after each step: ``[steps + 1, P]``, ``[steps, P]`` -> ``[steps]``."""
    return np.asarray(np.linalg.norm(target - online[1:], axis=1))


def staleness(online: Floats, target: Floats) -> NDArray[np.int64]:
    """How many steps ago the online encoder was closest (L2) to the present target: ``[steps]``, the latest of equals.
    ``online`` ``[steps + 1, P]``, its start first, which counts as a past encoder; ``target`` ``[steps, P]``."""
    lengths = np.einsum("sp,sp->s", online, online)
    part = max(1, PART // len(online))
    parts = []
    for start in range(0, len(target), part):
        some = target[start : start + part]
        past = len(some) + start + 1  # online encoders up to the last step of this part, and their start
        # |t - o|^2 without |t|^2, which is the same for every past encoder.
        squared = lengths[:past] - 2 * some @ online[:past].T
        now = np.arange(start + 1, past)
        squared[np.arange(past) > now[:, None]] = np.inf
        parts.append(now - (past - 1 - squared[:, ::-1].argmin(axis=1)))
    return np.concatenate(parts)


def variance_over_time(target: Floats, window: int) -> Floats:
    """Variance (ddof 0) of each parameter over the last ``window`` steps, or all there are, averaged: ``[steps]``."""
    centred = target - target.mean(axis=0)  # sums of squares lose digits where the mean is large
    sums = np.concatenate([np.zeros((1, target.shape[1])), centred.cumsum(axis=0)])
    squares = np.concatenate([np.zeros((1, target.shape[1])), (centred**2).cumsum(axis=0)])
    last = np.arange(1, len(target) + 1)
    first = np.maximum(0, last - window)
    count = (last - first)[:, None]
    mean = (sums[last] - sums[first]) / count
    return np.asarray(np.maximum(0, (squares[last] - squares[first]) / count - mean**2).mean(axis=1))


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
    """Minus the distance of each point from the line between the ends, on either side, on scaled log axes. The ends are
    those of ``first``. Undefined for fewer than three points, costs of 0, and points on one line."""
    undefined: list[float | None] = [None] * len(first)
    if len(first) < 3 or first.min() <= 0 or second.min() <= 0:
        return Score(undefined, "a knee needs three candidates or more, with costs above 0")
    x, y = min_max_scaled(np.log(first)), min_max_scaled(np.log(second))
    if x is None or y is None:
        return Score(undefined, "a cost is the same for all: the curve has no knee")
    start, end = np.argmin(x), np.argmax(x)
    run, rise = x[end] - x[start], y[end] - y[start]
    distance = np.abs((y - y[start]) * run - (x - x[start]) * rise) / np.hypot(run, rise)
    if distance.max() <= TIE:
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
