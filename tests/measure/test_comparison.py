from __future__ import annotations

import statistics

import numpy as np
import pytest
import torch

from sslbench.errors import TimingError
from sslbench.measure import timing as module
from sslbench.measure.comparison import compare_steps, compare_warm, in_a_row, interval
from sslbench.measure.timing import Arm, WarmUp, count_within
from sslbench.testing.fake_time import FakeClock, FakeDevice, fake_training


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", (0.0, 0.0))


WARM = WarmUp(10, True, 100.0, None, 100.0, None, None)


def arm(clock, step_ms, images=8, log=None, name="", noise=0.0, drift=0.0, seed=0):
    """A fake training step of ``step_ms``, noisy, on a machine that slows down by ``drift`` per millisecond."""
    generator = np.random.default_rng(seed)

    def taken(call):
        if log is not None:
            log.append(name)
        return step_ms * (1 + drift * clock.now) * (1 + noise * generator.standard_exponential())

    step, parameters = fake_training(clock, taken)
    return Arm(step, images, parameters)


def test_rounds_are_there_and_back_again():
    clock, log = FakeClock(), []
    arms = [arm(clock, 60, log=log, name="A"), arm(clock, 50, log=log, name="B"), arm(clock, 40, log=log, name="C")]
    (baseline, *_), (b, c) = compare_warm(arms, [WARM] * 3, [(0, 1), (0, 2)], rounds=2, clock=clock)
    assert "".join(log) == "ABCAACBA" * 2
    assert (b.ratio, c.ratio) == (60 / 50, 60 / 40)
    assert [len(timing.step_ms) for timing in (baseline, b.b, c.b)] == [8, 4, 4]
    assert b.a is baseline


def test_two_baselines_have_a_control_each():
    clock, log = FakeClock(), []
    arms = [arm(clock, ms, log=log, name=name) for ms, name in ((60, "A"), (50, "B"), (40, "C"))]
    timings, found = compare_warm(arms, [WARM] * 3, [(0, 2), (1, 2), (0, 1)], rounds=2, clock=clock)
    assert "".join(log) == "ABCABBACBA" * 2
    assert [comparison.ratio for comparison in found] == [60 / 40, 50 / 40, 60 / 50]
    assert [len(timing.step_ms) for timing in timings] == [8, 8, 4]


def test_without_a_pair_there_is_nothing_but_times():
    clock, log = FakeClock(), []
    timings, found = compare_warm([arm(clock, 60, log=log, name="A")], [WARM], [], rounds=3, clock=clock)
    assert (found, len(timings[0].step_ms), "".join(log)) == ([], 6, "AAAAAA")


def test_short_steps_are_taken_in_a_row_and_the_first_does_not_count():
    clock, log = FakeClock(), []
    short = WarmUp(10, True, 20.0, None, 20.0, None, None)

    def cold(name, ms):
        """The first step after the other arm's takes ten times as long."""

        def taken(call):
            first = not log or log[-1] != name
            log.append(name)
            return 10 * ms if first else ms

        step, parameters = fake_training(clock, taken)
        return Arm(step, 8, parameters)

    _, (found,) = compare_warm([cold("A", 20.0), cold("B", 10.0)], [short, short], [(0, 1)], rounds=3, clock=clock)
    assert "".join(log).startswith("AAAABBBBAAAAAAAABBBBAAAA")
    assert set(found.b.step_ms) == {10.0}
    assert set(found.a.step_ms) == {20.0}
    assert found.ratio == 2.0


def test_a_drift_of_the_machine_hits_both_alike():
    clock = FakeClock()
    found = compare_steps(arm(clock, 10.0, drift=1e-4), arm(clock, 5.0, drift=1e-4), rounds=20, warmup=2, clock=clock)
    assert found.a.step_ms[-1] > 1.4 * found.a.step_ms[0]
    assert found.ratio == pytest.approx(2.0, rel=0.02)
    assert found.low <= found.ratio <= found.high
    assert found.differs


def test_a_step_against_itself_is_no_difference_and_gives_the_noise():
    claimed = []
    for seed in range(10):
        clock = FakeClock()
        a, b = arm(clock, 60.0, noise=0.05, seed=seed), arm(clock, 60.0, noise=0.05, seed=100 + seed)
        _, (found,) = compare_warm([a, b], [WARM, WARM], [(0, 1)], rounds=20, clock=clock)
        assert found.low <= found.ratio <= found.high
        assert 0 < found.noise_floor < 0.1
        claimed.append(found.differs)
    assert not any(claimed)


def test_a_slowdown_beyond_the_noise_is_found():
    claimed = []
    for seed in range(10):
        clock = FakeClock()
        a, b = arm(clock, 60.0, noise=0.02, seed=seed), arm(clock, 63.0, noise=0.02, seed=100 + seed)
        _, (found,) = compare_warm([a, b], [WARM, WARM], [(0, 1)], rounds=20, clock=clock)
        assert found.ratio == pytest.approx(60 / 63, rel=0.03)
        claimed.append(found.differs)
    assert all(claimed)


def test_a_difference_within_the_noise_is_not_claimed():
    clock = FakeClock()
    calls = []

    def unsteady(call):
        calls.append(1)
        # A differs from itself: the inner two of its four slots are a tenth slower.
        return 66.0 if len(calls) % 4 in (2, 3) else 60.0

    step, parameters = fake_training(clock, unsteady)
    a = Arm(step, 8, parameters)
    _, (found,) = compare_warm([a, arm(clock, 60.0)], [WARM, WARM], [(0, 1)], rounds=10, clock=clock)
    assert found.low > 1
    assert found.noise_floor == pytest.approx(0.1)
    assert not found.differs


def test_batches_of_different_sizes_are_compared_by_the_image():
    clock = FakeClock()
    _, (found,) = compare_warm(
        [arm(clock, 60.0, images=8), arm(clock, 90.0, images=24)], [WARM] * 2, [(0, 1)], rounds=5, clock=clock
    )
    assert found.ratio == pytest.approx(2.0)
    assert (found.low, found.high) == (pytest.approx(2.0), pytest.approx(2.0))
    assert found.ratio == pytest.approx(found.b.images_per_second / found.a.images_per_second)


def test_the_interval_is_the_bootstraps_and_its_seed_decides():
    generator = np.random.default_rng(3)
    a, b = 10 + generator.random((30, 4)), 5 + generator.random((30, 2))
    low, high = interval(a, b, seed=1)
    draw = np.random.default_rng(1).integers(0, 30, (2000, 30))
    plain = sorted(
        statistics.median(a[rows].flatten().tolist()) / statistics.median(b[rows].flatten().tolist()) for rows in draw
    )
    assert plain[45] <= low <= plain[55]
    assert plain[1945] <= high <= plain[1955]
    assert interval(a, b, seed=1) == (low, high) != interval(a, b, seed=2)


def test_rounds_that_are_slow_as_a_whole_do_not_widen_the_interval():
    slow = np.repeat([1.0, 3.0], 10)[:, None]
    low, high = interval(slow * np.full((20, 4), 10.0), slow * np.full((20, 2), 5.0), seed=0)
    assert (low, high) == (2.0, 2.0)


def test_an_arm_that_does_nothing_fails_beside_one_that_works():
    clock = FakeClock()
    lazy = Arm(lambda: 1.0, 8, [torch.zeros(2)])
    with pytest.raises(TimingError, match="none of 1 parameter tensors changed"):
        compare_warm([arm(clock, 60.0), lazy], [WARM, WARM], [(0, 1)], rounds=2, clock=clock)


def test_the_device_is_timed_by_events():
    gpu = FakeDevice()

    def on(ms):
        weight = torch.zeros(1)

        def step():
            gpu.launch(ms)
            weight.add_(1)
            return 1.0

        return Arm(step, 8, [weight])

    _, (found,) = compare_warm([on(60.0), on(20.0)], [WARM, WARM], [(0, 1)], rounds=5, clock=gpu.clock())
    # A launch of 0.01 ms is seen where another arm's turn ends.
    assert found.ratio == pytest.approx(3.0, rel=1e-3)
    assert found.noise_floor < 1e-3


@pytest.mark.parametrize(
    ("first", "second"), [((5, 60), (20, 8)), ((5, 30), (15, 8)), ((8, 10), (8, 6)), ((12, 60), (12, 17))]
)
def test_an_arm_that_the_host_holds_up_is_not_hidden_behind_one_that_the_device_does(first, second):
    """Each arm as (host, device) milliseconds of a step; alone, the longer one decides."""
    gpu = FakeDevice()

    def arm(launching, computing):
        weight = torch.zeros(1)

        def step():
            gpu.launch(computing, host_ms=launching)
            weight.add_(1)
            return 1.0

        return Arm(step, 8, [weight])

    alone = max(first) / max(second)
    short = WarmUp(10, True, 10.0, None, 10.0, None, None)
    _, (found,) = compare_warm([arm(*first), arm(*second)], [short] * 2, [(0, 1)], rounds=5, clock=gpu.clock())
    assert found.ratio == pytest.approx(alone, rel=0.01)


def test_what_fits_into_a_budget():
    assert [in_a_row(ms) for ms in (80.0, 50.0, 25.0, 20.0, 1.0, 0.0)] == [1, 1, 3, 4, 10, 10]
    assert count_within(None, 100.0, 5, 25) == 25
    assert count_within(1.0, 100.0, 5, 25) == 10
    assert count_within(0.1, 100.0, 5, 25) == 5
    assert count_within(100.0, 100.0, 5, 25) == 25
