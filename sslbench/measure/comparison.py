"""Steps against each other: interleaved, with an interval for each ratio and the noise of the machine beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from sslbench.measure.clocks import Clock, clock_for, undisturbed_clock
from sslbench.measure.timing import WARMUP_STEPS, Arm, Timing, WarmUp, count_within, time_in_order, warm_up

Samples = np.ndarray[Any, np.dtype[np.float64]]
ROUNDS, LEAST_ROUNDS = 25, 5
FIRST_ROUNDS, ROUNDS_MORE = 10, 5
"""of a comparison that goes on until it is sure"""
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
    """bootstrap interval of the ratio, over rounds: 95%; 99% of ``compare_until_sure``"""
    noise_floor: float
    """how far from 1 the interval of a against itself reaches in the same run: 0.02 means 2%"""
    a: Timing
    b: Timing
    rounds: int = 0

    @property
    def differs(self) -> bool:
        """Whether a difference may be claimed: the interval excludes 1, and the ratio is beyond the noise floor."""
        excluded = self.low > 1 or self.high < 1
        return excluded and max(self.ratio, 1 / self.ratio) - 1 > self.noise_floor

    def described(self) -> dict[str, Any]:
        """JSON-able, without the timings."""
        return {name: getattr(self, name) for name in ("ratio", "low", "high", "noise_floor", "differs")}


def compare_steps(
    a: Arm,
    b: Arm,
    *,
    rounds: int = ROUNDS,
    seconds: float | None = None,
    warmup: int = WARMUP_STEPS,
    clock: Clock | None = None,
) -> Comparison:
    """Time two steps against each other: rounds of A B A' A' B A, so that a drift of the machine hits all alike.

    A' is A again: what differs between the two is noise. ``rounds`` are made, or as many (at least 5) as fit into
    ``seconds``; warming up comes before them. Raises TimingError as ``measure_steps`` does.
    """
    clock = clock or clock_for(a.device)
    warm = [warm_up(arm, clock, warmup, seconds) for arm in (a, b)]
    _, (comparison,) = compare_warm([a, b], warm, [(0, 1)], rounds=rounds, seconds=seconds, clock=clock)
    return comparison


def compare_warm(
    arms: Sequence[Arm],
    warm: Sequence[WarmUp],
    pairs: Sequence[tuple[int, int]],
    *,
    rounds: int = ROUNDS,
    seconds: float | None = None,
    clock: Clock | None = None,
) -> tuple[tuple[Timing, ...], list[Comparison]]:
    """Many steps in one run: in each round all arms, then each baseline again, and the same backwards.

    ``pairs``: (index of a baseline, index of the arm that is compared with it). All arms are warmed up and lie on one
    device. Returns a timing for each arm and a comparison for each pair.
    """
    baselines = list(dict.fromkeys(baseline for baseline, _ in pairs))
    forth = [*range(len(arms)), *baselines]
    repeats = in_a_row(min(before.step_ms for before in warm))
    count = count_within(seconds, 2 * repeats * sum(warm[arm].step_ms for arm in forth), LEAST_ROUNDS, rounds)
    order = [arm for slot in (forth + forth[::-1]) * count for arm in [slot] * repeats]
    counts = [lap % repeats > 0 or repeats == 1 for lap in range(len(order))]
    timings = time_in_order(arms, warm, order, clock or clock_for(arms[0].device), counts)
    samples = [np.array(timing.step_ms).reshape(count, -1, max(1, repeats - 1)) for timing in timings]
    # Of the four slots that a baseline has in a round, the outer two are A and the inner two are A'.
    noise = {}
    for baseline in baselines:
        low, high = interval(samples[baseline][:, [0, 3]], samples[baseline][:, [1, 2]])
        noise[baseline] = max(high, 1 / low) - 1
    comparisons = []
    for baseline, arm in pairs:
        a, b = timings[baseline], timings[arm]
        per_image = b.images / a.images
        low, high = (bound * per_image for bound in interval(samples[baseline], samples[arm]))
        comparisons.append(Comparison(per_image * a.median_ms / b.median_ms, low, high, noise[baseline], a, b, count))
    return timings, comparisons


def in_a_row(step_ms: float) -> int:
    """How many steps an arm takes in one slot: 1, or for short steps up to 10, of which the first does not count."""
    return 1 if step_ms >= SLOT_MS else min(LONGEST_SLOT, 1 + math.ceil(SLOT_MS / max(step_ms, 1e-6)))


def interval(a: Samples, b: Samples, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of ``median(a) / median(b)``, 95%; each ``[rounds, ...]``, milliseconds.

    Whole rounds are drawn, the same for both, so that what slows a whole round down cancels out.
    """

    def ratio(drawn: Any) -> Any:
        a_ms, b_ms = (np.median(samples[drawn].reshape(len(drawn), -1), axis=1) for samples in (a, b))
        return a_ms / b_ms

    return bootstrap(ratio, len(a), 0.95, seed)


def interval_of_median(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the median, 99%."""
    return bootstrap(lambda drawn: np.median(np.asarray(values)[drawn], axis=1), len(values), 0.99, seed)


def bootstrap(statistic: Callable[[Any], Any], count: int, level: float, seed: int) -> tuple[float, float]:
    """Quantiles over resamples; ``statistic``: indices ``[resamples, count]`` -> values ``[resamples]``."""
    drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    low, high = np.quantile(statistic(drawn), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def compare_until_sure(a: Arm, b: Arm, *, precision: float, seconds: float, clock: Clock | None = None) -> Comparison:
    """Rounds of both, at least 10, until the interval is at most ``precision`` to either side, or ``seconds`` are over.

    The ratio is the median over rounds. When to stop depends on the width of the interval alone, never on where it
    lies. On a CPU the time in which other programs had the core does not count. Raises TimingError as
    ``measure_steps``.
    """
    clock = clock or undisturbed_clock(a.device)
    warm = [warm_up(arm, clock, seconds=seconds / 4) for arm in (a, b)]
    per_image = b.images / a.images
    timings: list[tuple[Timing, ...]] = []
    ratios: list[float] = []
    own_ratios: list[float] = []
    began = clock.now_ms()
    while True:
        rounds = ROUNDS_MORE if timings else FIRST_ROUNDS
        timings.append(compare_warm([a, b], warm, [(0, 1)], rounds=rounds, clock=clock)[0])
        a_ms, b_ms = (np.reshape(timing.step_ms, (rounds, -1)) for timing in timings[-1])
        ratios += list(np.log(np.median(a_ms, axis=1) / np.median(b_ms, axis=1) * per_image))
        own_ratios += list(against_itself(a_ms))
        low, high = interval_of_median(ratios)
        if high - low <= 2 * math.log1p(precision) or clock.now_ms() - began > 1000 * seconds:
            break
    ratio, low, high = (math.exp(value) for value in (float(np.median(ratios)), low, high))
    noise = math.expm1(max(map(abs, interval_of_median(own_ratios))))
    joined_a, joined_b = (joined(parts) for parts in zip(*timings, strict=True))
    return Comparison(ratio, low, high, noise, joined_a, joined_b, len(ratios))


def against_itself(own: Samples) -> Samples:
    """Milliseconds ``[rounds, steps]`` -> log ratios ``[rounds]``: of the four slots that the baseline has in a round,
    the inner two against the outer two."""
    slots = own.reshape(len(own), 4, -1)
    outer, inner = (np.median(slots[:, pair].reshape(len(own), -1), axis=1) for pair in ([0, 3], [1, 2]))
    return np.asarray(np.log(inner / outer))


def joined(parts: Sequence[Timing]) -> Timing:
    """Consecutive timings of one arm as one."""
    cpu = [part.cpu_ms for part in parts if part.cpu_ms is not None]
    contended = [part.contended for part in parts if part.contended is not None]
    return replace(
        parts[-1],
        step_ms=tuple(chain.from_iterable(part.step_ms for part in parts)),
        wall_ms=sum(part.wall_ms for part in parts),
        cpu_ms=float(np.median(cpu)) if cpu else None,
        contended=any(contended) if contended else None,
    )
