"""Rows of the three tables: comparison of the momenta, trade-off of lag and variance, and every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sslbench_plugins.blocks.studies.tables import Row
from sslbench_plugins.simulators.momentum_dynamics.encoders import QUANTITIES, Floats, Trajectory
from sslbench_plugins.simulators.momentum_dynamics.trade_off import scores, winners

STARTS = {"as written": 1.0, "copied": 0.0}
"""where the target starts; the online encoder starts at 0"""
LAGS: dict[str, Callable[[Trajectory], float]] = {
    "L2 distance": lambda path: float(path.l2_distance.mean()),
    "staleness in steps": lambda path: float(path.staleness_steps.mean()),
}
"""what lag means -> its mean over the steps"""
Trajectories = Mapping[tuple[str, float], Trajectory]
"""(start, momentum) -> what is measured after each step"""


@dataclass(frozen=True)
class Costs:
    """Lag and variance of the momenta of one start, ascending, ``[N]`` each."""

    momenta: list[float]
    lags: Floats
    """mean over the steps"""
    variances: Floats
    """over time, after the last step"""


def costs(paths: Trajectories, start: str, lag: str) -> Costs:
    """Of all momenta with this start; ``lag`` is one of ``LAGS``."""
    momenta = sorted(m for path_start, m in paths if path_start == start)
    lags = np.array([LAGS[lag](paths[start, m]) for m in momenta])
    return Costs(momenta, lags, np.array([paths[start, m].variance_over_time[-1] for m in momenta]))


def comparison_rows(paths: Trajectories) -> list[Row]:
    """Mean over the steps and value after the last one, of each quantity."""
    rows = []
    for (start, m), path in paths.items():
        row: Row = {"start": start, "momentum": m}
        for name in QUANTITIES:
            values = path.quantity(name)
            row |= {f"mean_{name}": float(values.mean()), f"final_{name}": values[-1].item()}
        rows.append(row)
    return rows


def step_rows(paths: Trajectories) -> list[Row]:
    """Each quantity after each step, counted from 1."""
    return [
        {"start": start, "momentum": m, "step": step} | dict(zip(QUANTITIES, values, strict=True))
        for (start, m), path in paths.items()
        for step, values in enumerate(zip(*(path.quantity(name).tolist() for name in QUANTITIES), strict=True), start=1)
    ]


def trade_off_rows(paths: Trajectories) -> list[Row]:
    """Each score of each lag and start, with its winner; ties named."""
    rows = []
    for start in STARTS:
        for lag in LAGS:
            cost = costs(paths, start, lag)
            for name, score in scores(cost.lags, cost.variances).items():
                best = names([cost.momenta[index] for index in winners(score.values)])
                row: Row = {"start": start, "lag": lag, "score": name, "winner": best or None}
                row |= {f"value_at_{m:g}": value for m, value in zip(cost.momenta, score.values, strict=True)}
                rows.append({**row, "reason": score.reason})
    return rows


def names(momenta: Iterable[float]) -> str:
    """``0.99 and 0.999``; empty for none."""
    return " and ".join(f"{m:g}" for m in momenta)


def tally(words: Iterable[str], preposition: str, separator: str) -> str:
    """``0.99 in 3; 0.9 in 1``: how often each word occurs, the most frequent first."""
    counts = Counter(words).most_common()
    return separator.join(f"{word} {preposition} {count}" for word, count in counts)
