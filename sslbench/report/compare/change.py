"""One quantity of one recipe before and after: how far it moved, whether beyond its spread, and whether too far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from sslbench.measure.limits import Limit
from sslbench.report.numbers import NOTHING, three_digits
from sslbench.statistics.intervals import Interval, Moments, difference_of_means, ratio_of_series

RATE = "images/s"
"""the unit of what is more the less time it takes"""
LEAST_STEPS = 10
"""raw step times that an interval needs"""
MEDIAN_ERROR = 1.25 / 1.35
"""Standard error of a median in units of IQR / sqrt(n) (McGill, Tukey, Larsen, The American Statistician 32, 1978)."""
NORMAL_95 = 1.96
EXACT = ("flops_per_image",)
"""counted, not measured: has no spread"""
Source = Literal["seeds", "draws", "steps", "IQR", "rounds", "exact"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of one seed, and what is known of its spread."""

    value: float
    std: float | None = None
    """over draws within the evaluator"""
    n: int | None = None
    steps: Sequence[float] = ()
    """raw step times, milliseconds, warm-up left out"""
    statistic: str = "median"
    """of the steps, which the value rests on: ``median`` or ``mean``"""
    relative_error: float | None = None
    """standard error as a share of the value, where that is known instead"""
    error_from: Source = "IQR"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a quantity of a recipe from A to B: means over the seeds that both have."""

    recipe: str
    axes: Mapping[str, Any]
    """those of the side A"""
    quantity: str
    unit: str
    higher_is_better: bool | None
    before: float
    after: float
    seeds: tuple[int, ...]
    interval: Interval | None
    """of the change, 95%, as a share of the size of the value in A"""
    over: Source | None
    """what the interval comes from"""
    differs: tuple[str, ...] = ()
    """``data``, ``weights``: files that hold something else in B"""

    @property
    def relative(self) -> float | None:
        """The change as a share of the size of the value in A; None where that is 0."""
        return (self.after - self.before) / abs(self.before) if self.before else None

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``moved`` beyond the spread; ``tie`` within it; ``unsure`` where none is known."""
        if self.interval is None and self.before != self.after:
            return "unsure"
        if self.interval is None or self.before == self.after or self.interval.low <= 0 <= self.interval.high:
            return "tie"
        return "moved" if self.higher_is_better is None else "worse" if self.is_worse else "better"

    @property
    def is_worse(self) -> bool:
        """Whether it went the wrong way, by however little."""
        return (self.after < self.before) is self.higher_is_better and self.after != self.before

    @property
    def worse_by(self) -> float | None:
        """What a limit is held against: the loss as a share of the value in A, and of a rate how much longer an image
        takes, so that a limit on images_per_second and one on step_ms_median mean the same. None where A is 0."""
        if self.unit == RATE:
            return self.before / self.after - 1 if self.after else math.inf
        return None if self.relative is None else abs(self.relative)

    def exceeds(self, limit: Limit) -> bool:
        """Whether it is worse beyond the limit and beyond the spread; where no spread is known, the limit decides."""
        if not self.is_worse or self.verdict == "tie":
            return False
        return self.worse_by is None or 100 * self.worse_by > limit.percent

    @property
    def over_in_words(self) -> str:
        """``3 seeds``, ``steps``."""
        return f"{len(self.seeds)} seeds" if self.over == "seeds" else self.over or NOTHING

    def in_words(self) -> str:
        """One line: what, from what to what, by how much, how sure: ``95%: -3.1 to +0.2%, 3 seeds``."""
        values = " -> ".join(in_unit(value, self.unit) for value in (self.before, self.after))
        share = f"{self.worse_by:.1%} worse, " if self.is_worse and self.worse_by is not None else ""
        known = f"95%: {percents(self.interval)}, {self.over_in_words}" if self.interval else "no spread known"
        return f"{self.recipe}: {self.quantity} {values}, {share}{'exact' if self.over == 'exact' else known}"


def interval_between(
    before: Sequence[Measured], after: Sequence[Measured], quantity: str
) -> tuple[Interval | None, Source | None]:
    """Of the change of a mean over the same seeds; of one seed over raw steps, from a standard error, or over draws."""
    if quantity in EXACT:
        mean, mean_after = (fmean(measured.value for measured in side) for side in (before, after))
        change = (mean_after - mean) / abs(mean) if mean else math.copysign(math.inf, mean_after - mean)
        return Interval(change, change), "exact"
    if len(before) > 1:
        old, new = (Moments.of([measured.value for measured in side]) for side in (before, after))
        return as_share(difference_of_means(old, new), old.mean), "seeds"
    (first,), (second,) = before, after
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
        old, new = (Moments(side.value, side.std or 0.0, side.n or 0) for side in (first, second))
        return as_share(difference_of_means(old, new), first.value), "draws"
    return None, None


def as_share(interval: Interval, of: float) -> Interval:
    """Of a value's size; where that is 0, only the signs are known."""
    if of == 0:
        return Interval(*(math.copysign(math.inf, end) if end else 0.0 for end in (interval.low, interval.high)))
    return Interval(interval.low / abs(of), interval.high / abs(of))


def in_unit(value: float, unit: str) -> str:
    """``4321 images/s``, ``512 MB``, ``0.953``."""
    if unit in ("bytes", "FLOP"):
        return f"{three_digits(value / 1e6)} M{'B' if unit == 'bytes' else unit}"
    if unit in (RATE, "ms"):
        return f"{three_digits(value)} {unit}"
    text = f"{value:.4g}" if abs(value) < 1000 else three_digits(value)
    return f"{text} {unit}" if unit else text


def percents(interval: Interval) -> str:
    """``-3.1 to +0.2%``."""
    return f"{signed(100 * interval.low)} to {signed(100 * interval.high)}%"


def signed(number: float) -> str:
    """``+0.2``; what rounds to nothing has no sign of its own."""
    return f"{number:+.1f}".replace("-0.0", "+0.0") if abs(number) < 1 else f"{number:+.1f}"
