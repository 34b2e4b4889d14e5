"""Two steps against each other, for as long as it takes to be sure: what a gate rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from sslbench.measure.clocks import Clock, clock_for
from sslbench.measure.comparison import Samples, compare_warm
from sslbench.measure.timing import Arm, Timing, warm_up
from sslbench.measure.undisturbed import undisturbed_clock

LEAST_ROUNDS, ROUNDS_MORE = 10, 5
LEVEL = 0.99
RESAMPLES = 2000


@dataclass(frozen=True)
class MeasuredSlowdown:
    """How much longer a step takes than its baseline, per image; shares: 0.05 is 5% longer.

    The rounds are those of ``compare_steps``; ``slowdown`` is the median over rounds, ``low`` and ``high`` its 99%
    bootstrap interval.
    """

    slowdown: float
    low: float
    high: float
    noise_floor: float
    """how far from 0 the interval of the baseline against itself reaches in the same rounds"""
    rounds: int
    baseline: Timing
    candidate: Timing

    @property
    def differs(self) -> bool:
        """Whether the interval excludes 0 and the slowdown (or gain) is beyond the noise floor."""
        return not self.low <= 0 <= self.high and abs(math.log1p(self.slowdown)) > math.log1p(self.noise_floor)


def compare_until_sure(
    baseline: Arm, candidate: Arm, *, precision: float, seconds: float, clock: Clock | None = None, seed: int = 0
) -> MeasuredSlowdown:
    """Rounds of both until the interval is at most ``precision`` to either side, or ``seconds`` are over.

    At least 10 rounds are made. When to stop depends on the width of the interval alone, never on where it lies.
    On a CPU the time in which other programs had the core does not count. Raises TimingError as ``measure_steps``.
    """
    arms = [baseline, candidate]
    clock = clock or (undisturbed_clock() if baseline.device.type == "cpu" else clock_for(baseline.device))
    warm = [warm_up(arm, clock, seconds=seconds / 4) for arm in arms]
    per_image = baseline.images / candidate.images
    timings: list[tuple[Timing, Timing]] = []
    ratios: list[float] = []
    own_ratios: list[float] = []
    began = clock.now_ms()
    while True:
        rounds = ROUNDS_MORE if timings else LEAST_ROUNDS
        (a, b), _ = compare_warm(arms, warm, [(0, 1)], rounds=rounds, clock=clock)
        timings.append((a, b))
        a_ms, b_ms = (np.reshape(timing.step_ms, (rounds, -1)) for timing in (a, b))
        ratios += list(np.log(np.median(b_ms, axis=1) / np.median(a_ms, axis=1) * per_image))
        own_ratios += list(against_itself(a_ms))
        low, high = interval_of_median(ratios, seed)
        if high - low <= 2 * math.log1p(precision) or clock.now_ms() - began > 1000 * seconds:
            break
    noise = max(map(abs, interval_of_median(own_ratios, seed)))
    middle = float(np.median(ratios))
    return MeasuredSlowdown(
        slowdown=math.expm1(middle),
        low=math.expm1(low),
        high=math.expm1(high),
        noise_floor=math.expm1(noise),
        rounds=len(ratios),
        baseline=joined([a for a, _ in timings]),
        candidate=joined([b for _, b in timings]),
    )


def against_itself(own: Samples) -> Samples:
    """Milliseconds ``[rounds, steps]`` -> log ratios ``[rounds]``: of the four slots that the baseline has in a round,
    the inner two against the outer two."""
    slots = own.reshape(len(own), 4, -1)
    outer, inner = (np.median(slots[:, pair].reshape(len(own), -1), axis=1) for pair in ([0, 3], [1, 2]))
    return np.asarray(np.log(inner / outer))


def interval_of_median(values: Sequence[float], seed: int) -> tuple[float, float]:
    """Percentile bootstrap interval of the median, 99%."""
    drawn = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(np.median(np.asarray(values)[drawn], axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def joined(parts: Sequence[Timing]) -> Timing:
    """Consecutive timings of one arm as one."""
    first = parts[0]
    known = [part.cpu_ms for part in parts if part.cpu_ms is not None]
    contended = [part.contended for part in parts if part.contended is not None]
    return Timing(
        images=first.images,
        step_ms=tuple(chain.from_iterable(part.step_ms for part in parts)),
        warm_up=first.warm_up,
        wall_ms=sum(part.wall_ms for part in parts),
        cpu_ms=float(np.median(known)) if known else None,
        contended=any(contended) if contended else None,
        final_loss=parts[-1].final_loss,
    )
