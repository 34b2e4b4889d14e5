"""The speed of one step as a test sees it: measured, judged by its limits, as JSON and in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sslbench.measure.limits import Limit
from sslbench.statistics.intervals import Interval, ratio_of_series

QUANTITIES = ("images_per_second", "step_ms_median", "speed_up")
"""What a limit may be set on."""
LEVEL = 0.99
MACHINE = ("processor", "cores", "gpu", "torch", "cuda", "threads", "python")
"""What two measurements must share to be compared without a word of warning."""


@dataclass(frozen=True)
class Speed:
    """What ``sslbench_speed`` measured. Times are milliseconds; on a CPU without what other programs took."""

    name: str
    images: int
    """source images of one step"""
    step_ms: tuple[float, ...]
    """raw"""
    images_per_second: float
    step_ms_median: float
    step_ms_iqr: float
    contended: bool | None
    """whether other programs wanted the cores; None on a GPU"""
    machine: Mapping[str, Any]
    """with the time of the measurement and the GPU's name"""
    speed_up: float | None = None
    """how many times as fast as the same-run baseline, per image; None without one"""
    speed_up_interval: Interval | None = None
    """99%"""
    noise_floor: float | None = None
    """how far from 1 the baseline against itself reaches, as a share"""
    rounds: int | None = None
    baseline: Mapping[str, Any] | None = field(default=None, repr=False)
    """the same-run baseline's ``images``, ``images_per_second``, ``step_ms_median``, ``step_ms_iqr``"""

    def described(self) -> dict[str, Any]:
        """JSON-able, with the raw samples to a microsecond."""
        names = ("name", "images", "images_per_second", "step_ms_median", "step_ms_iqr", "contended", "speed_up")
        ends = self.speed_up_interval
        return {
            **{name: getattr(self, name) for name in names},
            "low": ends.low if ends else None,
            "high": ends.high if ends else None,
            "noise_floor": self.noise_floor,
            "rounds": self.rounds,
            "baseline": dict(self.baseline) if self.baseline else None,
            "step_ms": [round(ms, 3) for ms in self.step_ms],
            "machine": dict(self.machine),
        }


@dataclass(frozen=True)
class Slowdown:
    """How much longer an image takes than it should, as a share, with its 99% interval."""

    value: float
    interval: Interval
    noise_floor: float
    against: str
    """in words"""

    @classmethod
    def of_speed_up(cls, speed_up: float, ends: Interval, noise_floor: float, against: str) -> Slowdown:
        return cls(1 / speed_up - 1, Interval(1 / ends.high - 1, 1 / ends.low - 1), noise_floor, against)

    def crosses(self, limit: Limit) -> bool:
        """Slower beyond the noise, and not shown to be slower by less than the limit."""
        beyond_noise = self.interval.low > 0 and self.value > self.noise_floor
        return beyond_noise and 100 * self.interval.high >= limit.percent

    def in_words(self) -> str:
        word = "longer" if self.value > 0 else "shorter"
        ends = f"{100 * self.interval.low:+.1f} to {100 * self.interval.high:+.1f}%"
        return f"an image takes {abs(self.value):.1%} {word} than {self.against} (99%: {ends})"


def slowdowns(speed: Speed, stored: Mapping[str, Any] | None) -> dict[str, Slowdown]:
    """Quantity -> how much slower: than the same-run baseline, else than what was stored.

    ``speed_up`` compares a same-run ratio with a stored same-run ratio, which means something on any machine.
    """
    found = {}
    warning = machine_warning(speed.machine, (stored or {}).get("machine") or {})
    if speed.speed_up is not None and speed.speed_up_interval is not None:
        noise = speed.noise_floor or 0.0
        now = Slowdown.of_speed_up(speed.speed_up, speed.speed_up_interval, noise, "the baseline of this run")
        found = dict.fromkeys(("images_per_second", "step_ms_median"), now)
        if stored and stored.get("speed_up"):
            found["speed_up"] = between_ratios(speed, stored)
    elif stored:
        per_image = stored["images"] / speed.images
        ratio = ratio_of_series(stored["step_ms"], speed.step_ms, level=LEVEL)
        ends = Interval(ratio.low * per_image - 1, ratio.high * per_image - 1)
        value = speed.step_ms_median / stored["step_ms_median"] * per_image - 1
        now = Slowdown(value, ends, 0.0, f"stored{warning}")
        found = dict.fromkeys(("images_per_second", "step_ms_median"), now)
    return found


def between_ratios(speed: Speed, stored: Mapping[str, Any]) -> Slowdown:
    """The stored speed-up over today's, the two independent: their log intervals add up by squares."""
    assert speed.speed_up is not None
    assert speed.speed_up_interval is not None
    middle = math.log(stored["speed_up"] / speed.speed_up)
    ends = speed.speed_up_interval
    down = math.hypot(math.log(ends.high / speed.speed_up), math.log(stored["speed_up"] / stored["low"]))
    up = math.hypot(math.log(speed.speed_up / ends.low), math.log(stored["high"] / stored["speed_up"]))
    floor = max(speed.noise_floor or 0.0, stored.get("noise_floor") or 0.0)
    against = f"its stored speed-up over the baseline, {stored['speed_up']:.3f}"
    return Slowdown(math.expm1(middle), Interval(math.expm1(middle - down), math.expm1(middle + up)), floor, against)


def machine_warning(now: Mapping[str, Any], then: Mapping[str, Any]) -> str:
    """`` on another machine (gpu: X then, Y now)``, or nothing."""
    facts = [fact for fact in MACHINE if fact in then and then[fact] != now.get(fact)]
    if not facts:
        return ""
    told = ", ".join(f"{fact}: {then[fact]} then, {now.get(fact)} now" for fact in facts)
    return f" on another machine ({told})"


def judge(speed: Speed, stored: Mapping[str, Any] | None, limits: Sequence[Limit]) -> tuple[list[str], list[str]]:
    """Lines for limits that were crossed, and notes on limits that nothing could be held against."""
    found = slowdowns(speed, stored)
    crossed, notes = [], []
    for limit in limits:
        slower = found.get(limit.quantity)
        if slower is None:
            notes.append(f"{limit} not judged: {missing(speed, limit)}")
        elif slower.crosses(limit):
            crossed.append(f"{speed.name}: {slower.in_words()}: not within the limit {limit}")
    return crossed, notes


def missing(speed: Speed, limit: Limit) -> str:
    if limit.quantity == "speed_up" and speed.speed_up is None:
        return "no baseline= in the test"
    if limit.quantity == "speed_up":
        return "no stored speed-up (--sslbench-compare)"
    return "no baseline= in the test and nothing stored for it (--sslbench-compare)"


def summary_line(speed: Speed, stored: Mapping[str, Any] | None, crossed: Sequence[str], notes: Sequence[str]) -> str:
    """``test_step: 4321 images/s, 14.8 ms (IQR 0.4); 1.02 times as fast as ... ; ...``."""
    rate = f"{speed.images_per_second:,.0f}" if speed.images_per_second >= 100 else f"{speed.images_per_second:.3g}"
    parts = [f"{speed.name}: {rate} images/s, {speed.step_ms_median:.3g} ms a step (IQR {speed.step_ms_iqr:.2g})"]
    told = {slower.in_words(): None for slower in slowdowns(speed, stored).values()}
    parts += told
    if speed.noise_floor is not None:
        parts.append(f"noise {speed.noise_floor:.1%}, {speed.rounds} rounds")
    if speed.contended:
        parts.append("other programs wanted the cores")
    parts += notes
    return "; ".join(parts) + ("  <- TOO SLOW" if crossed else "")
