"""Steps against each other: interleaved, with an interval for each ratio and the noise of the machine beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sslbench.measure.clocks import Clock, clock_for
from sslbench.measure.timing import WARMUP_STEPS, Arm, Timing, WarmUp, time_in_order, warm_up

Samples = np.ndarray[Any, np.dtype[np.float64]]

ROUNDS, LEAST_ROUNDS = 25, 5
LEVEL = 0.95
RESAMPLES = 2000
SLOT_MS, LONGEST_SLOT = 50.0, 10
"""Steps shorter than this are taken several in a row, and the first of a row does not count: it finds the caches full
of the other arm's data, the others find their own, whatever the neighbours are."""


@dataclass(frozen=True)
class Comparison:
    """How many times as fast ``b`` is as ``a``, per source image: above 1, b is faster."""

    ratio: float
    """of the median step times"""
    low: float
    high: float
    """95% bootstrap interval of the ratio, over rounds"""
    noise_floor: float
    """how far from 1 the interval of a against itself reaches in the same run: 0.02 means 2%"""
    a: Timing
    b: Timing

    @property
    def differs(self) -> bool:
        """Whether a difference may be claimed: the interval excludes 1, and the ratio is beyond the noise floor."""
        excluded = self.low > 1 or self.high < 1
        return excluded and max(self.ratio, 1 / self.ratio) - 1 > self.noise_floor

    def described(self) -> dict[str, Any]:
        """JSON-able, without the timings."""
        names = ("ratio", "low", "high", "noise_floor", "differs")
        return {name: getattr(self, name) for name in names}


def compare_steps(
    a: Arm,
    b: Arm,
    *,
    rounds: int = ROUNDS,
    seconds: float | None = None,
    warmup: int = WARMUP_STEPS,
    seed: int = 0,
    clock: Clock | None = None,
) -> Comparison:
    """Time two steps against each other: rounds of A B A' A' B A, so that a drift of the machine hits all alike.

    A' is A again: what differs between the two is noise. ``rounds`` are made, or as many (at least 5) as fit into
    ``seconds``; warming up comes before them. ``seed`` is the bootstrap's. Raises TimingError as ``measure_steps``
    does.
    """
    clock = clock or clock_for(a.device)
    warm = [warm_up(arm, clock, warmup, seconds) for arm in (a, b)]
    _, (comparison,) = compare_warm([a, b], warm, [(0, 1)], rounds=rounds, seconds=seconds, seed=seed, clock=clock)
    return comparison


def compare_warm(
    arms: Sequence[Arm],
    warm: Sequence[WarmUp],
    pairs: Sequence[tuple[int, int]],
    *,
    rounds: int = ROUNDS,
    seconds: float | None = None,
    seed: int = 0,
    clock: Clock | None = None,
) -> tuple[tuple[Timing, ...], list[Comparison]]:
    """Many steps in one run: in each round all arms, then each baseline again, and the same backwards.

    ``pairs``: (index of a baseline, index of the arm that is compared with it). All arms are warmed up and lie on one
    device. Returns a timing for each arm and a comparison for each pair.
    """
    baselines = list(dict.fromkeys(baseline for baseline, _ in pairs))
    forth = [*range(len(arms)), *baselines]
    repeats = in_a_row(min(before.step_ms for before in warm))
    count = rounds_within(seconds, 2 * repeats * sum(warm[arm].step_ms for arm in forth), rounds)
    order = [arm for slot in (forth + forth[::-1]) * count for arm in [slot] * repeats]
    counts = [lap % repeats > 0 or repeats == 1 for lap in range(len(order))]
    timings = time_in_order(arms, warm, order, clock or clock_for(arms[0].device), counts)
    samples = [np.array(timing.step_ms).reshape(count, -1, max(1, repeats - 1)) for timing in timings]
    # Of the four slots that a baseline has in a round, the outer two are A and the inner two are A'.
    noise = {}
    for baseline in baselines:
        low, high = interval(samples[baseline][:, [0, 3]], samples[baseline][:, [1, 2]], seed)
        noise[baseline] = max(high, 1 / low) - 1
    comparisons = []
    for baseline, arm in pairs:
        a, b = timings[baseline], timings[arm]
        per_image = b.images / a.images
        low, high = (bound * per_image for bound in interval(samples[baseline], samples[arm], seed))
        ratio = per_image * a.median_ms / b.median_ms
        comparisons.append(Comparison(ratio, low, high, noise[baseline], a, b))
    return timings, comparisons


def in_a_row(step_ms: float) -> int:
    """How many steps an arm takes in one slot: 1, or for short steps up to 10, of which the first does not count."""
    return 1 if step_ms >= SLOT_MS else min(LONGEST_SLOT, 1 + math.ceil(SLOT_MS / max(step_ms, 1e-6)))


def rounds_within(seconds: float | None, round_ms: float, most: int) -> int:
    """How many rounds fit into a budget: at least 5 (or ``most``, where that is less)."""
    if seconds is None:
        return most
    return min(most, max(LEAST_ROUNDS, int(1000 * seconds / max(round_ms, 1e-6))))


def interval(
    a: Samples, b: Samples, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[float, float]:
    """Percentile bootstrap interval of ``median(a) / median(b)``; each ``[rounds, ...]``, milliseconds.

    Whole rounds are drawn, the same for both, so that what slows a whole round down cancels out.
    """
    drawn = np.random.default_rng(seed).integers(0, len(a), (resamples, len(a)))
    ratios = np.median(a[drawn].reshape(resamples, -1), axis=1) / np.median(b[drawn].reshape(resamples, -1), axis=1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
