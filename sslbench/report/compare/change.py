"""One quantity of one recipe before and after: how far it moved, whether beyond its spread, and whether too far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sslbench.measure.limits import Limit
from sslbench.report.compare.uncertainty import Source
from sslbench.report.compare.words import RATE, in_unit, percents
from sslbench.report.numbers import NOTHING
from sslbench.statistics.intervals import Interval


@dataclass(frozen=True)
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
    """measured in both"""
    interval: Interval | None
    """of the change, 95%, as a share of the size of the value in A"""
    over: Source | None
    """what the interval comes from"""

    @property
    def relative(self) -> float | None:
        """The change as a share of the size of the value in A; None where that is 0."""
        return (self.after - self.before) / abs(self.before) if self.before else None

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` beyond the spread, or ``moved`` where neither is; ``tie`` within it, ``unsure`` where
        no spread is known."""
        if self.before == self.after:
            return "tie"
        if self.interval is None:
            return "unsure"
        if self.interval.low <= 0 <= self.interval.high:
            return "tie"
        if self.higher_is_better is None:
            return "moved"
        return "worse" if self.is_worse else "better"

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

    def spread_in_words(self) -> str:
        """``95%: -3.1 to +0.2%, 3 seeds``."""
        if self.interval is None or self.over == "exact":
            return "no spread known" if self.interval is None else "exact"
        return f"95%: {percents(self.interval)}, {self.over_in_words}"

    def in_words(self) -> str:
        """One line: what, from what to what, by how much, how sure."""
        values = " -> ".join(in_unit(value, self.unit) for value in (self.before, self.after))
        share = f"{self.worse_by:.1%} worse, " if self.is_worse and self.worse_by is not None else ""
        return f"{self.recipe}: {self.quantity} {values}, {share}{self.spread_in_words()}"
