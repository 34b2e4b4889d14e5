"""Student's t: a mean and its interval, and the paired comparison of two methods over the same seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev

LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A mean difference, its interval at ``LEVEL`` and the p-value of no difference; None where not defined."""

    mean: float
    low: float | None
    high: float | None
    p: float | None
    n: int
    """differences that it comes from"""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds. What too few values do not tell is None."""

    mean: float | None
    std: float | None
    """standard deviation (ddof 1)"""
    low: float | None
    """Student's 95% interval of the mean"""
    high: float | None
    n: int
    """number of values"""

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        """None has no mean, one has neither deviation nor interval."""
        if not values:
            return cls(None, None, None, None, 0)
        mean = fmean(values)
        if len(values) < 2:
            return cls(mean, None, None, None, 1)
        std = stdev(values)
        half = half_width(std, len(values))
        return cls(mean, std, mean - half, mean + half, len(values))


@lru_cache
def quantile(freedom: int) -> float:
    """The t beyond which ``1 - LEVEL`` of a t-distribution lies, both tails together."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def half_width(std: float, n: int) -> float:
    """Half of the interval of a mean of ``n`` >= 2 independent values with standard deviation ``std`` (ddof 1)."""
    return quantile(n - 1) * std / math.sqrt(n)


def paired_t(differences: Sequence[float]) -> Difference:
    """The paired t-test of Student (Biometrika 6, 1908) on at least one difference of matched values. One alone has no
    interval and no p; differences without a spread have no interval, and a p of 1 where they are 0, elsewhere none."""
    n, mean = len(differences), fmean(differences)
    if n < 2:
        return Difference(mean, None, None, None, n)
    std = stdev(differences)
    # What rounding leaves of equal differences is no spread.
    if std <= 1e-12 * max(1.0, abs(mean)):
        return Difference(mean, None, None, 1.0 if abs(mean) <= 1e-12 else None, n)
    from scipy.special import stdtr

    half = half_width(std, n)
    p = 2 * float(stdtr(n - 1, -abs(mean) / (std / math.sqrt(n))))
    return Difference(mean, mean - half, mean + half, p, n)


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the order given (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    corrected = [0.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = largest
    return corrected
