from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from sslbench.errors import TimingError
from sslbench.measure import timing as module
from sslbench.measure.timing import Arm, Timing, checksum, count_within, is_steady, measure_steps, warm_up
from sslbench.testing.fake_time import FakeClock, FakeDevice, fake_training


def measured(step, parameters, clock=None, steps=12, **more):
    return measure_steps(
        step, device="cpu", images=8, parameters=parameters, steps=steps, warmup=2, clock=clock, **more
    )


def test_the_summary_is_that_of_the_raw_samples():
    clock = FakeClock()
    step, parameters = fake_training(clock, lambda call: 10.0 + call % 7)
    timing = measured(step, parameters, clock, steps=30)
    assert timing.warm_up.steps >= 2
    samples = np.array(timing.step_ms)
    assert len(samples) == 30
    assert set(samples.round(6)) == {10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0}
    assert timing.median_ms == np.median(samples)
    assert timing.described()["p20_ms"] == pytest.approx(np.percentile(samples, 20))
    assert timing.described()["p80_ms"] == pytest.approx(np.percentile(samples, 80))
    assert timing.iqr_ms == pytest.approx(np.percentile(samples, 75) - np.percentile(samples, 25))
    assert timing.images_per_second == pytest.approx(8000 / np.median(samples))
    assert (timing.final_loss, timing.contended) == (1.0, False)
    assert timing.cpu_ms == timing.median_ms


def test_the_description_is_json_and_leaves_the_samples_out():
    import json

    clock = FakeClock()
    step, parameters = fake_training(clock, lambda call: 4.0)
    facts = json.loads(json.dumps(measured(step, parameters, clock).described()))
    assert (facts["median_ms"], facts["steps"], facts["iqr_ms"]) == (4.0, 12, 0.0)
    assert facts["compile_ms"] is None
    assert "step_ms" not in facts


def test_a_real_step_takes_the_time_that_it_takes():
    weight = torch.zeros(2)

    def step():
        time.sleep(0.01)
        weight.add_(1)
        return weight.sum()

    timing = measured(step, [weight], steps=10)
    assert min(timing.step_ms) >= 9.9
    assert timing.wall_ms >= 99
    # A sleeping process uses no CPU time.
    assert timing.cpu_ms < 9


def test_a_step_that_does_nothing_fails():
    with pytest.raises(TimingError, match="none of 1 parameter tensors changed in the timed run"):
        measured(lambda: 1.0, [torch.zeros(3)])


def test_a_step_that_stops_training_after_the_warm_up_fails():
    weight, calls = torch.zeros(3), []

    def step():
        calls.append(1)
        if len(calls) < 20:
            weight.add_(1)
        return 1.0

    with pytest.raises(TimingError, match="none of 1 parameter tensors changed"):
        measure_steps(step, device="cpu", images=1, parameters=[weight], warmup=60, steps=5)


def test_work_that_is_queued_until_after_the_clock_has_stopped_fails(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", (0.5, 0.5))
    weight, go, moved = torch.zeros(3), threading.Event(), threading.Event()
    done = []

    def later():
        while not done:
            go.wait()
            weight.add_(1)
            moved.set()
            time.sleep(0.001)

    thread = threading.Thread(target=later, daemon=True)
    thread.start()

    def step():
        go.set()  # "starts" the step, and returns before it is done
        moved.clear()
        moved.wait(10)
        return 1.0

    try:
        with pytest.raises(TimingError, match="went on changing after the clock had stopped"):
            measured(step, [weight])
    finally:
        done.append(1)
        thread.join()


@pytest.mark.parametrize(("loss", "words"), [(float("nan"), "was nan"), (float("inf"), "was inf")])
def test_a_loss_that_is_not_finite_fails(loss, words):
    weight = torch.zeros(1)

    def step():
        weight.add_(1)
        return torch.tensor(loss)

    with pytest.raises(TimingError, match=f"the loss of timed step 1 of 12 {words}"):
        measured(step, [weight])


def test_a_training_step_without_a_loss_fails():
    weight = torch.zeros(1)
    with pytest.raises(TimingError, match="the step returned no loss"):
        measured(lambda: (weight.add_(1), None)[1], [weight])


def test_work_that_trains_nothing_is_timed_without_loss_and_parameters():
    timing = measured(lambda: None, None)
    assert (len(timing.step_ms), timing.final_loss) == (12, None)


def test_events_count_the_device_though_the_host_runs_ahead():
    gpu, weight = FakeDevice(), torch.zeros(1)

    def step():
        gpu.launch(7.0)
        weight.add_(1)
        return 1.0

    timing = measured(step, [weight], gpu.clock(), steps=40)
    assert timing.median_ms == pytest.approx(7.0)
    assert gpu.host >= 40 * 7
    assert (timing.cpu_ms, timing.contended) == (None, None)


def test_work_that_the_events_missed_makes_the_clocks_disagree():
    gpu, weight = FakeDevice(), torch.zeros(1)

    def step():
        gpu.launch(7.0)
        gpu.launch(7.5, stream="another")
        weight.add_(1)
        return 1.0

    with pytest.raises(
        TimingError, match=r"events say 280\.0 ms and the wall clock 300\.0 ms .* \(allowed: 3% apart\)"
    ):
        measured(step, [weight], gpu.clock(), steps=40)


def test_warming_up_lasts_until_the_times_are_steady():
    assert is_steady([9.0] + [1.0] * 10)
    assert not is_steady([1.0] * 9)
    assert not is_steady([2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    clock = FakeClock()
    settles, _ = fake_training(clock, lambda call: max(2.0, 64.0 * 0.8**call))
    warm = warm_up(Arm(settles, 1, None), clock)
    # 64 * 0.8**call falls to 2 at call 16; from 14 on the medians of five and five steps are within 10%.
    assert (warm.steps, warm.steady) == (24, True)
    assert (warm.first_step_ms, warm.step_ms) == (64.0, 2.0)
    assert clock.now == pytest.approx(sum(max(2.0, 64.0 * 0.8**call) for call in range(24)))


def test_warming_up_ends_though_the_times_never_settle():
    clock = FakeClock()
    wild, _ = fake_training(clock, lambda call: float(2**call))
    assert warm_up(Arm(wild, 1, None), clock, least=10, seconds=0.0).steps == 10
    found = warm_up(Arm(wild, 1, None), clock)
    assert (found.steps, found.steady) == (60, False)


def test_steps_unlike_the_others_are_warmed_up_whatever_is_asked_for():
    calls, clock = [], FakeClock()

    def step():
        calls.append(1)
        clock.now += 10

    warm = warm_up(Arm(step, 1, None, unlike=12), clock, least=2, seconds=0)
    assert warm.steps == len(calls) == 13


def test_compile_time_is_kept_apart_from_the_first_step():
    clock = FakeClock()
    step, _ = fake_training(clock, lambda call: 1.0 if call else 50.0)
    warm = warm_up(Arm(step, 1, None, compiled=True), clock, least=3)
    assert (warm.first_step_ms, warm.compile_ms) == (50.0, 49.0)
    assert warm_up(Arm(step, 1, None), clock, least=3).compile_ms is None


def test_the_warm_up_and_its_budget_go_by_the_clock_that_is_given():
    """What a made-up clock says decides, so that a made-up run is the same run every time."""
    clock = FakeClock()
    step, parameters = fake_training(clock, lambda call: 1000.0 * 2**call)
    timing = measure_steps(
        step, device="cpu", images=1, parameters=parameters, warmup=2, steps=50, seconds=5.0, clock=clock
    )
    assert timing.warm_up.steps == 3
    assert len(timing.step_ms) == 10


def test_a_budget_says_how_many_steps():
    assert count_within(None, 100.0, 10, 50) == 50
    assert count_within(2.0, 100.0, 10, 50) == 20
    assert count_within(0.1, 100.0, 10, 50) == 10
    assert count_within(9.0, 1.0, 10, 50) == 50


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.uint8])
def test_the_smallest_change_shows_in_the_checksum(dtype):
    tensors = [torch.ones(4, 3, dtype=dtype).t(), torch.ones((), dtype=dtype)]
    before = checksum(tensors)
    assert checksum(tensors) == before
    if dtype.is_floating_point:
        tensors[0][1, 1] = torch.nextafter(tensors[0][1, 1], tensors[0][1, 1] + 1)
    else:
        tensors[0][1, 1] += 1
    after = checksum(tensors)
    assert after[0] != before[0]
    assert after[1] == before[1]


@pytest.mark.gpu
def test_a_real_gpu_is_timed_and_a_side_stream_is_noticed():
    device = torch.device("cuda")
    a, weight = torch.randn(4096, 4096, device=device), torch.zeros(3, device=device)
    side = torch.cuda.Stream(device)

    def step():
        for _ in range(5):
            a @ a
        weight.add_(1)
        return weight.sum()

    timing = measure_steps(step, device=device, images=8, parameters=[weight], steps=20)
    assert isinstance(timing, Timing)
    assert timing.warm_up.peak_allocated_bytes > a.numel() * 4

    def elsewhere():
        with torch.cuda.stream(side):
            for _ in range(20):
                a @ a
        return step()

    with pytest.raises(TimingError, match="wall clock"):
        measure_steps(elsewhere, device=device, images=8, parameters=[weight], steps=20)


@pytest.mark.parametrize(
    ("kernels", "device_ms", "host_ms", "bound"),
    [(100, 0.05, 0.2, True), (100, 0.4, 0.1, False), (1, 7.0, 0.01, False), (100, 0.1, 0.095, True)],
)
def test_a_step_that_the_host_launches_more_slowly_than_the_device_works_is_launch_bound(
    kernels, device_ms, host_ms, bound
):
    gpu, weight = FakeDevice(), torch.zeros(1)

    def step():
        for _ in range(kernels):
            gpu.launch(device_ms, host_ms=host_ms)
        weight.add_(1)
        return 1.0

    timing = measured(step, [weight], gpu.clock(), steps=40)
    assert timing.warm_up.host_ms == pytest.approx(kernels * host_ms)
    assert timing.launch_bound is bound
    assert (timing.described()["host_ms"], timing.described()["launch_bound"]) == (timing.warm_up.host_ms, bound)


def test_of_a_cpu_nobody_asks_what_a_launch_costs():
    clock = FakeClock()
    step, parameters = fake_training(clock, lambda call: 10.0)
    timing = measured(step, parameters, clock)
    assert (timing.warm_up.host_ms, timing.launch_bound) == (None, None)
