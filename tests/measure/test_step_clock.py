from __future__ import annotations

import statistics
import time

import pytest
import torch

from sslbench.measure import step_clock
from sslbench.measure.step_clock import StepClock, StepTimes


def test_warm_up_is_left_out_and_the_rest_summed_up():
    steps = [1000.0] * 10 + [float(value) for value in range(10, 60)]
    waits = [900.0] * 10 + [1.0] * 50
    times = StepTimes.of(steps, waits, batch_size=8)
    steady = steps[10:]
    low, _, high = statistics.quantiles(steady, n=4, method="inclusive")
    assert times.step_ms_median == statistics.median(steady)
    assert times.step_ms_iqr == high - low
    assert times.images_per_second == pytest.approx(1000 * 8 * 50 / sum(steady))
    assert times.data_wait_share == pytest.approx(50 / sum(steady))


def test_a_short_run_leaves_out_a_fifth():
    assert StepTimes.of([100.0, 1.0, 1.0, 1.0, 1.0], [0.0] * 5, 1).step_ms_median == 1.0


def test_one_step_has_no_spread_and_none_has_nothing():
    assert StepTimes.of([4.0], [1.0], 2) == StepTimes(500.0, 4.0, 0.0, 0.25)
    assert StepTimes.of([], [], 2) == StepTimes()


def test_the_clock_tells_waiting_from_working():
    clock = StepClock(torch.device("cpu"))
    for _ in range(3):
        clock.begin()
        time.sleep(0.02)
        clock.fetched()
        time.sleep(0.01)
        clock.end()
    assert all(wait >= 19 for wait in clock.wait_ms)
    assert all(step >= wait + 9 for step, wait in zip(clock.step_ms, clock.wait_ms, strict=True))
    assert clock.summary(4).data_wait_share < 1


class PlayedEvent:
    """An event of a GPU whose work was done at a given millisecond."""

    synchronised = 0

    def __init__(self, at):
        self.at = at

    def synchronize(self):
        PlayedEvent.synchronised += 1

    def elapsed_time(self, other):
        return other.at - self.at


def test_on_a_gpu_a_wait_is_the_time_in_which_it_was_idle_and_only_draining_waits(monkeypatch):
    # of each step the end of the one before, the batch, the end: as long as the host is ahead, nothing lies between
    times = iter([0.0, 0.0, 10.0, 10.0, 20.0, 26.0, 36.0, 1000.0, 1001.0, 1011.0])
    monkeypatch.setattr(step_clock, "recorded_event", lambda device: PlayedEvent(next(times)))
    clock = StepClock(torch.device("cuda"))

    def step():
        clock.begin()
        clock.fetched()
        clock.end()

    for _ in range(3):
        step()
    assert (clock.step_ms, clock.wait_ms, PlayedEvent.synchronised) == ([], [], 0)
    clock.drain()
    assert (clock.step_ms, clock.wait_ms) == ([10.0, 10.0, 16.0], [0.0, 0.0, 6.0])
    clock.drain()
    step()
    times = iter(())
    assert clock.summary(4).data_wait_share == pytest.approx(7 / 47)
    assert (clock.step_ms[-1], clock.wait_ms[-1], PlayedEvent.synchronised) == (11.0, 1.0, 2)


def test_a_step_that_was_broken_off_is_none(monkeypatch):
    times = iter([0.0, 1.0, 5.0, 6.0])
    monkeypatch.setattr(step_clock, "recorded_event", lambda device: PlayedEvent(next(times)))
    clock = StepClock(torch.device("cuda"))
    clock.begin()
    clock.fetched()
    clock.end()
    clock.begin()
    clock.fetched()
    clock.drain()
    assert (clock.step_ms, clock.wait_ms) == ([5.0], [1.0])


@pytest.mark.gpu
def test_device_time_is_counted_though_the_host_runs_ahead():
    clock = StepClock(torch.device("cuda"))
    a = torch.randn(4096, 4096, device="cuda")
    began = time.perf_counter()
    for _ in range(20):
        clock.begin()
        clock.fetched()
        for _ in range(5):
            a = (a @ a).clamp(-1, 1)
        clock.end()
    clock.drain()
    assert len(clock.step_ms) == len(clock.wait_ms) == 20
    assert sum(clock.wait_ms) < 0.2 * sum(clock.step_ms)
    assert sum(clock.step_ms) == pytest.approx(1000 * (time.perf_counter() - began), rel=0.2)
