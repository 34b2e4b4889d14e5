"""How far measurements lie apart, and how sure that is: intervals, Student's t, Holm's correction. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import StatisticsError, fmean

LEVEL = 0.95
RESAMPLES = 1000
MOST_SAMPLES = 4000
"""of a longer series an even share is taken"""


def stdev(values: Sequence[float]) -> float:
    """Standard deviation (ddof 1) of two values or more: the standard library's is exact and fifty times as slow."""
    if len(values) < 2:
        raise StatisticsError("a deviation needs at least two values")
    mean = fmean(values)
    return math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (len(values) - 1))


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
    middles = []
    for series in (first, second):
        values = numpy.asarray(series, dtype=numpy.float64)
        values = values[:: math.ceil(len(values) / MOST_SAMPLES)]
        count = len(values)
        length = math.isqrt(count)
        starts = generator.integers(0, count, (RESAMPLES, math.ceil(count / length)))
        indices = (starts[:, :, None] + numpy.arange(length)).reshape(RESAMPLES, -1)[:, :count] % count
        middles.append((numpy.median if statistic == "median" else numpy.mean)(values[indices], axis=1))
    low, high = numpy.quantile(middles[1] / middles[0], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


@dataclass(frozen=True)
class Difference:
    """A mean difference, its interval at ``LEVEL`` and the p-value of no difference; None where not defined."""

    mean: float
    low: float | None
    high: float | None
    p: float | None
    n: int


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, its standard deviation (ddof 1) and Student's 95% interval; None where too few values tell."""

    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    n: int

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


def pooled_t(rows: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Of values of rows over the same seeds, two of each or more: p of no difference between the first row and each of
    the others, and its least once it is corrected.

    The deviation is what is left of all values when the means of rows and seeds are taken out (two-way analysis of
    variance; Fisher, Statistical Methods for Research Workers, section 48), or the pair's own where that is larger;
    degrees of freedom (rows - 1) (seeds - 1). Rows that spread more than the others would pass too often: p of the
    pair's own t-test times the root of the number of rivals is the least."""
    from scipy.special import stdtr

    seeds, first, rivals = len(rows[0]), rows[0], len(rows) - 1
    of_seeds = [fmean(values) for values in zip(*rows, strict=True)]
    centred = [[value - middle for value, middle in zip(row, of_seeds, strict=True)] for row in rows]
    residual = sum((value - fmean(row)) ** 2 for row in centred for value in row)
    freedom = rivals * (seeds - 1)
    found = []
    for row in rows[1:]:
        own = paired_t([a - b for a, b in zip(row, first, strict=True)])
        if own.p is None or own.low is None or own.high is None:
            found.append((1.0 if own.p is None else own.p, 0.0))
            continue
        error = (own.high - own.low) / 2 / quantile(seeds - 1)
        error = max(error, math.sqrt(2 * residual / freedom / seeds))
        found.append((2 * float(stdtr(freedom, -abs(own.mean) / error)), min(1.0, own.p * math.sqrt(rivals))))
    return found


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the order given (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    return stepwise(values, [len(values) - rank for rank in range(len(values))])


def against_the_best(values: Sequence[float]) -> list[float]:
    """p-values of all others against the one that the same data show to be the best, in the order given, corrected for
    the number of pairs that it could have been: of those that are not told apart yet (Holm's steps with the counts of
    Shaffer, Journal of the American Statistical Association 81, 1986). Holm's own counts, for a rival that is fixed
    beforehand, let chance pass up to three times as often as stated."""
    return stepwise(values, [math.comb(len(values) + 1 - rank, 2) for rank in range(len(values))])


def stepwise(values: Sequence[float], factors: Sequence[int]) -> list[float]:
    """p-values, the smallest times the first factor and so on, none below one before it, in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    corrected = [0.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, factors[rank] * values[index]))
        corrected[index] = largest
    return corrected
