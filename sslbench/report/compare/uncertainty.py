"""How sure a change is: an interval from seeds, draws, steps or rounds, whatever is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from sslbench.statistics.intervals import Interval, Moments, difference_of_means, ratio_of_series

LEAST_STEPS = 10
"""raw step times that an interval needs"""
MEDIAN_ERROR = 1.25 / 1.35
"""Standard error of a median in units of IQR / sqrt(n) (McGill, Tukey, Larsen, The American Statistician 32, 1978)."""
NORMAL_95 = 1.96
Source = Literal["seeds", "draws", "steps", "IQR", "rounds", "exact"]
"""what an interval comes from"""


@dataclass(frozen=True)
class Measured:
    """One value of one seed, and what is known of its spread."""

    value: float
    std: float | None = None
    """over draws within the evaluator"""
    n: int | None = None
    """number of those draws"""
    steps: Sequence[float] = ()
    """raw step times, milliseconds, warm-up left out"""
    statistic: str = "median"
    """of the steps, which the value rests on: ``median`` or ``mean``"""
    relative_error: float | None = None
    """standard error as a share of the value, where that is known instead"""
    error_from: Source = "IQR"


@dataclass(frozen=True)
class Shift:
    """Means before and after over the same seeds."""

    before: float
    after: float
    interval: Interval | None
    """of their difference, 95%, as a share of the size of the first"""
    over: Source | None


def shift_between(
    first: Mapping[int, Measured], second: Mapping[int, Measured], quantity: str, exact: bool = False
) -> Shift:
    """From the values of each seed before and after. The interval is over the seeds where there are several, else over
    the draws or the raw steps of the one. ``exact``: counted, so that any difference is one."""
    before = fmean(measured.value for measured in first.values())
    after = fmean(measured.value for measured in second.values())
    if exact:
        change = (after - before) / abs(before) if before else math.copysign(math.inf, after - before)
        return Shift(before, after, Interval(change, change), "exact")
    if len(first) > 1:
        values = [[measured.value for measured in side.values()] for side in (first, second)]
        difference = difference_of_means(Moments.of(values[0]), Moments.of(values[1]))
        return Shift(before, after, as_share(difference, before), "seeds")
    (single,), (other,) = first.values(), second.values()
    interval, over = interval_within(single, other, quantity)
    return Shift(before, after, interval, over)


def interval_within(first: Measured, second: Measured, quantity: str) -> tuple[Interval | None, Source | None]:
    """The interval between two single values, from what is known inside each."""
    if min(len(first.steps), len(second.steps)) >= LEAST_STEPS:
        # A rate is images by a step: the ratio of rates is that of the steps turned over.
        series = (second.steps, first.steps) if quantity == "images_per_second" else (first.steps, second.steps)
        ratio = ratio_of_series(*series, first.statistic)
        return Interval(ratio.low - 1, ratio.high - 1), "steps"
    if first.relative_error is not None and second.relative_error is not None:
        half = NORMAL_95 * math.hypot(first.relative_error, second.relative_error)
        change = second.value / first.value - 1
        return Interval(change - half, change + half), first.error_from
    if first.std is not None and second.std is not None and min(first.n or 0, second.n or 0) > 1:
        moments, other_moments = (Moments(side.value, side.std or 0.0, side.n or 0) for side in (first, second))
        return as_share(difference_of_means(moments, other_moments), first.value), "draws"
    return None, None


def as_share(interval: Interval, of: float) -> Interval:
    """Of a value's size; where that is 0, only the signs are known."""
    if of == 0:
        return Interval(*(math.copysign(math.inf, end) if end else 0.0 for end in (interval.low, interval.high)))
    return Interval(interval.low / abs(of), interval.high / abs(of))


def error_of_median(median: float | None, iqr: float | None, steps: int | None) -> float | None:
    """Standard error of a median step as a share of it."""
    if not median or iqr is None or not steps or steps < LEAST_STEPS:
        return None
    return MEDIAN_ERROR * iqr / median / math.sqrt(steps)
