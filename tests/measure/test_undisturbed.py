from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch

from sslbench.measure import clocks
from sslbench.measure.clocks import HostClock, UndisturbedClock, undisturbed_clock

needs_linux = pytest.mark.skipif(not UndisturbedClock.works(), reason="this system has no schedstat")


@pytest.fixture
def scheduler(tmp_path, monkeypatch):
    """A file in place of the kernel's; call it with the nanoseconds a thread has waited."""
    path = tmp_path / "schedstat"

    def set_waited(waited):
        path.write_text(f"12345 {waited} 7\n")

    set_waited(0)
    monkeypatch.setattr(clocks, "SCHEDSTAT", path)
    return set_waited


def test_time_without_a_core_does_not_count(scheduler):
    clock = UndisturbedClock()
    clock.start()
    time.sleep(0.03)
    scheduler(20_000_000)
    clock.mark()
    time.sleep(0.01)
    clock.mark()
    laps = clock.stop()
    assert laps.waited_ms == 20.0
    assert laps.wall_ms - sum(laps.step_ms) == pytest.approx(20.0, abs=1e-6)
    assert laps.step_ms[0] >= 10.0
    assert laps.step_ms[1] >= 10.0  # what sleeps is not disturbed


def test_a_step_is_never_negative(scheduler):
    clock = UndisturbedClock()
    clock.start()
    scheduler(10**12)
    clock.mark()
    assert clock.stop().step_ms == (0.0,)


def test_both_times_are_of_one_moment(monkeypatch):
    """The thread loses the core between two looks, once; the time before that does not count."""
    looks = iter([5, 9, 9, 9])
    times = iter([100, 200])
    monkeypatch.setattr(clocks, "waited_ns", lambda queue: next(looks))
    monkeypatch.setattr(clocks.time, "perf_counter_ns", lambda: next(times))
    assert clocks.stamp(0) == (200, 9)


@needs_linux
def test_it_can_be_used_again_and_gives_its_file_back():
    clock = UndisturbedClock()
    for _ in range(2):
        clock.start()
        clock.mark()
        assert len(clock.stop().step_ms) == 1
    with pytest.raises(OSError, match="Bad file"):
        clocks.os.pread(clock._file, 1, 0)


@needs_linux
def test_the_kernel_tells_of_other_programs():
    """Three busy programs and this one on one core: it waits, and less of the wall clock counts."""
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"
    before = clocks.os.sched_getaffinity(0)
    others = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    try:
        clocks.os.sched_setaffinity(0, {min(before)})
        clock = UndisturbedClock()
        clock.start()
        while time.process_time() - clock._cpu[0] / 1e9 < 0.2:
            pass
        clock.mark()
        laps = clock.stop()
    finally:
        clocks.os.sched_setaffinity(0, before)
        for other in others:
            other.kill()
            other.wait()
    assert laps.waited_ms > 0
    assert sum(laps.step_ms) < laps.wall_ms


@pytest.mark.parametrize("text", [None, "", "1 2"])
def test_where_the_system_does_not_tell_the_wall_clock_serves(tmp_path, monkeypatch, text):
    path = tmp_path / "schedstat"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(clocks, "SCHEDSTAT", path)
    assert type(undisturbed_clock(torch.device("cpu"))) is HostClock
