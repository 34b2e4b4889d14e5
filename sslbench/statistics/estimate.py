"""The mean of a few values, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from sslbench.statistics.student import half_width


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
        """Of any number of values: none has no mean, one has neither deviation nor interval."""
        if not values:
            return cls(None, None, None, None, 0)
        mean = fmean(values)
        if len(values) < 2:
            return cls(mean, None, None, None, 1)
        std = stdev(values)
        half = half_width(std, len(values))
        return cls(mean, std, mean - half, mean + half, len(values))
