"""An online encoder that takes noisy steps, its momentum encoder, and what is measured of the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STARTS = {"as written": 1.0, "copied": 0.0}
"""where the target starts; the online encoder starts at 0"""
Trajectory = dict[str, NDArray[Any]]
"""quantity -> its value after each step, ``[steps]``"""
Trajectories = Mapping[tuple[str, float], Trajectory]
"""(start, momentum) -> what is measured"""
PART = 1 << 22
"""distances held at once"""


def online_path(seed: int, steps: int, parameters: int, noise: float) -> Floats:
    """The online encoder, ``[steps + 1, parameters]``: 0, then a normal(0, noise) step after another."""
    drawn = RandomState(seed).normal(0, noise, (steps, parameters))
    return np.concatenate([np.zeros((1, parameters)), drawn.cumsum(axis=0)])


def moving_average(online: Floats, m: float, start: float) -> Floats:
    """The target after each step, ``[steps, parameters]``: ``target = m * target + (1 - m) * online``.

    ``online`` ``[steps + 1, parameters]`` with its own start first; the target starts at ``start`` in every
    parameter. Raises ValueError for m outside [0, 1).
    """
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

    ``online`` ``[steps + 1, P]``, its start first, which counts as a past encoder; ``target`` ``[steps, P]``.
    """
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
