from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from sslbench.errors import TimingError
from sslbench.measure import timing
from sslbench.measure.comparison import compare_until_sure, interval_of_median
from sslbench.measure.timing import Arm
from sslbench.testing.fake_time import FakeClock, fake_training


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(timing, "PAUSE", (0.0, 0.0))


def arm(clock, step_ms, images=8, noise=0.02, drift=0.0, seed=0):
    """A fake training step that is noisy, on a machine that slows down by ``drift`` per millisecond."""
    generator = np.random.default_rng(seed)

    def taken(_):
        return step_ms * (1 + drift * clock.now) * (1 + noise * generator.standard_exponential())

    step, parameters = fake_training(clock, taken)
    return Arm(step, images, parameters)


def measured(share, precision=0.01, seconds=60.0, seed=0, **facts):
    clock = FakeClock()
    arms = arm(clock, 4.0, seed=2 * seed, **facts), arm(clock, 4.0 * share, seed=2 * seed + 1, **facts)
    return slowdown_of(compare_until_sure(*arms, precision=precision, seconds=seconds, clock=clock))


def slowdown_of(comparison):
    """How much longer a step of the second takes, per image, as a share."""
    shares = {"slowdown": comparison.ratio, "low": comparison.high, "high": comparison.low}
    shares = {name: 1 / ratio - 1 for name, ratio in shares.items()}
    timings = {"baseline": comparison.a, "candidate": comparison.b}
    return SimpleNamespace(**shares, **timings, noise_floor=comparison.noise_floor, rounds=comparison.rounds)


@pytest.mark.parametrize("share", [0.5, 0.95, 1.05, 2.0])
def test_a_difference_is_found_whatever_the_machine_drifts(share):
    found = measured(share, drift=1e-4)
    assert found.low < share - 1 < found.high
    assert found.high - found.low < 0.03


def test_a_step_against_itself_never_crosses_five_percent():
    found = [measured(1.0, seed=seed) for seed in range(20)]
    assert max(slowdown.high for slowdown in found) < 0.02
    assert max(slowdown.noise_floor for slowdown in found) < 0.02
    # The interval is one of 99%: that two of twenty miss happens once in sixty times.
    assert sum(not slowdown.low <= 0 <= slowdown.high for slowdown in found) <= 2


def test_made_up_time_makes_the_same_run_every_time():
    first, second = measured(1.02, noise=0.1), measured(1.02, noise=0.1)
    assert (first.slowdown, first.low, first.high) == (second.slowdown, second.low, second.high)
    assert first.baseline.step_ms == second.baseline.step_ms


def test_the_budget_goes_by_the_clock_that_is_given():
    """A step takes 5.2 ms on average, ten of them are in a slot and six slots in a round: 0.31 s."""
    assert measured(1.0, noise=0.3, precision=1e-9, seconds=6.0).rounds == 20


def test_rounds_are_made_until_the_interval_is_narrow():
    calm, noisy = (measured(1.0, noise=noise) for noise in (0.01, 0.1))
    assert calm.rounds == 10
    assert noisy.rounds > 10
    assert noisy.rounds % 5 == 0
    assert (1 + noisy.high) / (1 + noisy.low) < 1.01**2 * 1.001
    assert len(noisy.baseline.step_ms) == 2 * len(noisy.candidate.step_ms)


def test_or_until_time_is_over():
    assert measured(1.0, noise=0.3, precision=1e-9, seconds=0.0).rounds == 10


def test_images_are_what_is_compared_not_steps():
    clock = FakeClock()
    found = compare_until_sure(arm(clock, 4.0), arm(clock, 8.0, images=16), precision=0.01, seconds=60.0, clock=clock)
    assert found.low < 1 < found.high


def test_noise_counts_before_a_difference_is_claimed():
    found = measured(1.002, noise=0.2, precision=0.05)
    assert found.slowdown < found.noise_floor


def test_a_step_that_trains_nothing_is_found_out():
    clock = FakeClock()
    good = arm(clock, 4.0)
    still = Arm(lambda: 1.0, 8, good.parameters and [good.parameters[0].clone()])
    with pytest.raises(TimingError, match="none of 1 parameter tensors changed"):
        compare_until_sure(good, still, precision=0.01, seconds=1.0, clock=clock)


def test_the_interval_holds_the_median():
    """At 99% of 60 samples of 20 values at most four may miss."""
    generator = np.random.default_rng(0)
    misses = 0
    for _ in range(60):
        low, high = interval_of_median(list(generator.normal(1.0, 1.0, 20)), seed=0)
        misses += not low <= 1.0 <= high
    assert misses <= 4
