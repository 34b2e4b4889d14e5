"""The speed of a step as a test has it: measured, checked against its limits, as JSON and in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sslbench.measure.limits import Limit
from sslbench.statistics.intervals import Interval, ratio_of_series
from sslbench.store.json_parts import Part

QUANTITIES = ("images_per_second", "step_ms_median", "speed_up")
"""What a limit may be set on."""
LEVEL = 0.99
MACHINE = ("processor", "cores", "gpu", "torch", "cuda", "threads", "python")
"""What two measurements must share to be compared without a word of warning."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast a step is. Times are milliseconds; on a CPU without what other programs took."""

    images: int
    """source images of a step"""
    images_per_second: float
    step_ms_median: float
    step_ms_iqr: float


@dataclass(frozen=True, kw_only=True)
class Speed(Rate):
    """What ``sslbench_speed`` measured."""

    name: str
    step_ms: tuple[float, ...]
    contended: bool | None
    """whether other programs took cores meanwhile; None on a GPU"""
    machine: Mapping[str, Any]
    """with the time of the measurement and the GPU's name"""
    speed_up: float | None = None
    speed_up_interval: Interval | None = None
    """how many times as fast as the same-run baseline, per image, with its 99% interval; None without one"""
    noise_floor: float | None = None
    """how far from 1 the baseline against itself reaches, as a share"""
    rounds: int | None = None
    baseline: Rate | None = field(default=None, repr=False)

    def described(self) -> dict[str, Any]:
        """JSON-able, with the raw samples to a microsecond."""
        names = ("name", "images", "images_per_second", "step_ms_median", "step_ms_iqr", "contended", "speed_up")
        return {
            **{name: getattr(self, name) for name in names},
            **{name: getattr(self.speed_up_interval, name, None) for name in ("low", "high")},
            "noise_floor": self.noise_floor,
            "rounds": self.rounds,
            "baseline": asdict(self.baseline) if self.baseline else None,
            "step_ms": [round(ms, 3) for ms in self.step_ms],
            "machine": dict(self.machine),
        }


@dataclass(frozen=True)
class StoredSpeed(Part):
    """What ``Speed.described`` left in a file of ``--sslbench-save``, as far as a comparison needs it."""

    images: int
    step_ms_median: float
    step_ms: tuple[float, ...]
    machine: Mapping[str, Any] = field(default_factory=dict)
    speed_up: float | None = None
    low: float | None = None
    high: float | None = None
    """99% interval of ``speed_up``"""
    noise_floor: float | None = None


@dataclass(frozen=True)
class Slowdown:
    """How much longer an image takes than it should, as a share, with its 99% interval."""

    value: float
    interval: Interval
    noise_floor: float
    against: str
    """what it is compared with, in words"""

    def crosses(self, limit: Limit) -> bool:
        """Slower beyond the noise, and not shown to be slower by less than the limit."""
        beyond_noise = self.interval.low > 0 and self.value > self.noise_floor
        return beyond_noise and 100 * self.interval.high >= limit.percent

    def in_words(self) -> str:
        """``an image takes 5.0% longer than stored (99%: +4.5 to +5.5%)``."""
        word = "longer" if self.value > 0 else "shorter"
        interval = f"{100 * self.interval.low:+.1f} to {100 * self.interval.high:+.1f}%"
        return f"an image takes {abs(self.value):.1%} {word} than {self.against} (99%: {interval})"


def slowdowns(speed: Speed, stored: StoredSpeed | None) -> dict[str, Slowdown]:
    """Quantity -> how much slower: than the same-run baseline, else than what was stored.

    ``speed_up`` compares a same-run ratio with a stored same-run ratio, which means something on any machine.
    """
    ratio = None
    if speed.speed_up is not None and speed.speed_up_interval is not None:
        low, high = speed.speed_up_interval.low, speed.speed_up_interval.high
        interval, noise = Interval(1 / high - 1, 1 / low - 1), speed.noise_floor or 0.0
        # Half as fast is 100% longer.
        slowdown = Slowdown(1 / speed.speed_up - 1, interval, noise, "the baseline of this run")
        ratio = between_ratios(speed, stored) if stored else None
    elif stored:
        slowdown = than_stored(speed, stored)
    else:
        return {}
    # Images per second and the time of a step say the same per image.
    both = {"images_per_second": slowdown, "step_ms_median": slowdown}
    return {**both, "speed_up": ratio} if ratio else both


def than_stored(speed: Speed, stored: StoredSpeed) -> Slowdown:
    """Today's times against stored times."""
    per_image = stored.images / speed.images
    ratio = ratio_of_series(stored.step_ms, speed.step_ms, level=LEVEL)
    interval = Interval(ratio.low * per_image - 1, ratio.high * per_image - 1)
    value = speed.step_ms_median / stored.step_ms_median * per_image - 1
    now, then = speed.machine, stored.machine
    changed = [fact for fact in MACHINE if fact in then and then[fact] != now.get(fact)]
    facts = ", ".join(f"{fact}: {then[fact]} then, {now.get(fact)} now" for fact in changed)
    return Slowdown(value, interval, 0.0, f"stored on another machine ({facts})" if changed else "stored")


def between_ratios(speed: Speed, stored: StoredSpeed) -> Slowdown | None:
    """The stored speed-up over today's, the two independent: their log intervals add up by squares. None where no
    speed-up was stored."""
    now, interval = speed.speed_up, speed.speed_up_interval
    if not now or interval is None or not stored.speed_up or not stored.low or not stored.high:
        return None
    middle = math.log(stored.speed_up / now)
    down = math.hypot(math.log(interval.high / now), math.log(stored.speed_up / stored.low))
    up = math.hypot(math.log(now / interval.low), math.log(stored.high / stored.speed_up))
    noise = max(speed.noise_floor or 0.0, stored.noise_floor or 0.0)
    against = f"its stored speed-up over the baseline, {stored.speed_up:.3f}"
    return Slowdown(math.expm1(middle), Interval(math.expm1(middle - down), math.expm1(middle + up)), noise, against)


def check_limits(speed: Speed, stored: StoredSpeed | None, limits: Sequence[Limit]) -> tuple[list[str], list[str]]:
    """Lines for limits that were crossed, and notes on limits for which there was nothing to compare with."""
    slower = slowdowns(speed, stored)
    crossed, notes = [], []
    for limit in limits:
        slowdown = slower.get(limit.quantity)
        if slowdown is None:
            missing = "no baseline= in the test"
            if limit.quantity != "speed_up":
                missing += " and nothing stored for it (--sslbench-compare)"
            elif speed.speed_up is not None:
                missing = "no stored speed-up (--sslbench-compare)"
            notes.append(f"{limit} not checked: {missing}")
        elif slowdown.crosses(limit):
            crossed.append(f"{speed.name}: {slowdown.in_words()}: not within the limit {limit}")
    return crossed, notes


def summary_line(speed: Speed, stored: StoredSpeed | None, crossed: Sequence[str], notes: Sequence[str]) -> str:
    """``test_step: 4321 images/s, 14.8 ms (IQR 0.4); 1.02 times as fast as ... ; ...``."""
    rate = f"{speed.images_per_second:,.0f}" if speed.images_per_second >= 100 else f"{speed.images_per_second:.3g}"
    parts = [f"{speed.name}: {rate} images/s, {speed.step_ms_median:.3g} ms a step (IQR {speed.step_ms_iqr:.2g})"]
    parts += dict.fromkeys(slower.in_words() for slower in slowdowns(speed, stored).values())
    if speed.noise_floor is not None:
        parts.append(f"noise {speed.noise_floor:.1%}, {speed.rounds} rounds")
    if speed.contended:
        parts.append("other programs wanted the cores")
    parts += notes
    return "; ".join(parts) + ("  <- TOO SLOW" if crossed else "")
