"""How far two measurements lie apart, and how sure that is. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from sslbench.statistics.student import LEVEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 1000
MOST_SAMPLES = 4000
"""of a longer series an even share is taken"""


@dataclass(frozen=True)
class Interval:
    """A difference or a ratio lies within."""

    low: float
    high: float


@dataclass(frozen=True)
class Moments:
    """Mean, standard deviation (ddof 1) and number of the values it comes from."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Moments:
        """Of two values or more."""
        return cls(fmean(values), stdev(values), len(values))


def difference_of_means(first: Moments, second: Moments, level: float = LEVEL) -> Interval:
    """Of ``second - first``, spreads unequal (Welch, Biometrika 34, 1947); a point where neither has any."""
    middle = second.mean - first.mean
    parts = [moments.std**2 / moments.n for moments in (first, second)]
    total = sum(parts)
    if total == 0:
        return Interval(middle, middle)
    freedom = total**2 / sum(part**2 / (m.n - 1) for part, m in zip(parts, (first, second), strict=True))
    from scipy.special import stdtrit  # 60 ms to import

    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(total)
    return Interval(middle - half, middle + half)


def ratio_of_series(
    first: Sequence[float], second: Sequence[float], statistic: str = "median", level: float = LEVEL
) -> Interval:
    """Of ``statistic(second) / statistic(first)`` for two series of times; ``statistic``: ``median`` or ``mean``. A
    bootstrap of blocks as long as the square root of the series (circular; Politis and Romano, 1992), because a machine
    that is slow in one step is slow in the next; the resamples are the same for the same series."""
    import numpy

    generator = numpy.random.default_rng(0)
    middles = [resampled(series, statistic, generator) for series in (first, second)]
    low, high = numpy.quantile(middles[1] / middles[0], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def resampled(series: Sequence[float], statistic: str, generator: Any) -> NDArray[Any]:
    """The statistic of each resample, float64 [RESAMPLES]."""
    import numpy

    values = numpy.asarray(series, dtype=numpy.float64)
    values = values[:: math.ceil(len(values) / MOST_SAMPLES)]
    count = len(values)
    length = math.isqrt(count)
    starts = generator.integers(0, count, (RESAMPLES, math.ceil(count / length)))
    indices = (starts[:, :, None] + numpy.arange(length)).reshape(RESAMPLES, -1)[:, :count] % count
    middle = numpy.median if statistic == "median" else numpy.mean
    return numpy.asarray(middle(values[indices], axis=1))
