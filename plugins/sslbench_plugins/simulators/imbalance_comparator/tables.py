"""Rows of the two tables: each strategy at the threshold 0.5, and at its operating points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sslbench_plugins.simulators.imbalance_comparator.operating_point import (
    Flags,
    Floats,
    operating_points,
    sensitivity_and_specificity,
)
from sslbench_plugins.simulators.imbalance_comparator.strategies import Fit, Fits


@dataclass(frozen=True)
class StrategyRow:
    """One strategy at the threshold 0.5."""

    strategy: str
    sensitivity: float
    specificity: float
    area_under_curve: float
    f1: float
    reason: str


@dataclass(frozen=True)
class PointRow:
    """One strategy at the threshold of one reading."""

    strategy: str
    reading: str
    threshold: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class Measured:
    """Both tables of one seed, and the probabilities behind them."""

    strategies: list[StrategyRow]
    points: list[PointRow]
    fits: Fits

    def strategy(self, name: str) -> StrategyRow:
        """The row of one strategy."""
        return next(row for row in self.strategies if row.strategy == name)

    def point(self, name: str, reading: str) -> PointRow:
        """The row of one strategy in one reading."""
        return next(row for row in self.points if (row.strategy, row.reading) == (name, reading))

    @property
    def spread_of_areas(self) -> float:
        """Highest minus lowest area under the curve."""
        areas = [row.area_under_curve for row in self.strategies]
        return max(areas) - min(areas)


def measure(fits: Fits, thresholds: int) -> Measured:
    """Both tables; operating points are looked for on as many thresholds from 0 to 1."""
    grid = np.linspace(0, 1, thresholds)
    strategies = [strategy_row(name, fit, fits.positive) for name, fit in fits.by_strategy.items()]
    points = [row for name, fit in fits.by_strategy.items() for row in point_rows(name, fit, fits.positive, grid)]
    return Measured(strategies, points, fits)


def strategy_row(name: str, fit: Fit, positive: Flags) -> StrategyRow:
    """At the threshold 0.5."""
    from sklearn.metrics import f1_score, roc_auc_score

    sensitivity, specificity = sensitivity_and_specificity(fit.probability, positive, np.array([0.5]))
    return StrategyRow(
        name,
        float(sensitivity[0]),
        float(specificity[0]),
        float(roc_auc_score(positive, fit.probability)),
        float(f1_score(positive, fit.probability >= 0.5, zero_division=0.0)),
        fit.reason,
    )


def point_rows(name: str, fit: Fit, positive: Flags, thresholds: Floats) -> list[PointRow]:
    """One row for each reading: the threshold 0 reaches every sensitivity."""
    points = operating_points(fit.probability, positive, thresholds)
    return [PointRow(name, reading, *point) for reading, point in points.items() if point is not None]
