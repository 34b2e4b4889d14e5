from __future__ import annotations

import pytest

from sslbench.errors import TimingError
from sslbench.measure import clocks
from sslbench.measure.clocks import HostClock, Laps, check_clocks, contended, waited_for_cores_ms


def laps(cpu, waited=0.0, step=10.0):
    return Laps((step,) * len(cpu), step * len(cpu), tuple(cpu), waited)


def test_one_thread_alone_gets_a_core_for_all_of_its_time():
    assert contended(laps([9.8] * 20), threads=1) is False
    assert contended(laps([7.0] * 20), threads=1) is True


def test_two_threads_are_held_against_their_best_steps():
    # Parallel work rarely fills both cores: 1.5 cores throughout is how this step is, 1.0 mostly is contention.
    assert contended(laps([15.0] * 20), threads=2) is False
    assert contended(laps([15.0] * 4 + [10.0] * 16), threads=2) is True


def test_waiting_in_the_run_queue_tells_whatever_the_cpu_time_says():
    assert contended(laps([15.0] * 20, waited=30.0), threads=2) is True
    assert contended(laps([15.0] * 20, waited=3.0), threads=2) is False
    assert contended(laps([15.0] * 20, waited=None), threads=2) is False


def test_a_gpu_has_no_cpu_time_to_tell_by():
    assert contended(Laps((1.0,), 1.0), threads=1) is None


def test_without_schedstat_nothing_is_known_of_waiting(monkeypatch, tmp_path):
    monkeypatch.setattr(clocks, "TASKS", tmp_path / "none")
    assert waited_for_cores_ms() is None
    clock = HostClock()
    clock.start()
    clock.mark()
    assert clock.stop().waited_ms is None


def test_the_run_queue_of_all_threads_is_read(monkeypatch, tmp_path):
    for name, waited in (("1", 2_000_000), ("2", 500_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "schedstat").write_text(f"77 {waited} 3\n")
    monkeypatch.setattr(clocks, "TASKS", tmp_path)
    assert waited_for_cores_ms() == 2.5


def test_a_clock_can_be_used_again():
    clock = HostClock()
    for count in (3, 1):
        clock.start()
        for _ in range(count):
            clock.mark()
        found = clock.stop()
        assert len(found.step_ms) == len(found.cpu_ms) == count
        assert sum(found.step_ms) == pytest.approx(found.wall_ms)


@pytest.mark.parametrize(("device", "wall"), [(100.0, 103.0), (103.0, 100.0), (0.2, 0.6)])
def test_clocks_may_be_a_little_apart(device, wall):
    check_clocks(device, wall)


@pytest.mark.parametrize(("device", "wall"), [(100.0, 104.0), (104.0, 100.0), (0.0, 1.0)])
def test_clocks_that_disagree_are_an_error(device, wall):
    with pytest.raises(TimingError, match=r"timing: the device's events say .* work ran on another stream"):
        check_clocks(device, wall)
