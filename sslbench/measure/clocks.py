"""Clocks for a row of steps: the host's for a CPU, events for a GPU. None waits between two steps."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from sslbench.errors import TimingError

DISAGREEMENT, SLACK_MS = 0.03, 0.5
"""by how much the device's clock and the host's may differ: a share, and what starting and stopping may cost beside"""
WAITING = 0.05
"""share of the wall clock that threads may wait for a core before a run counts as contended"""
TASKS, SCHEDSTAT = Path("/proc/self/task"), Path("/proc/thread-self/schedstat")


@dataclass(frozen=True)
class Laps:
    """What a clock measured, milliseconds."""

    step_ms: tuple[float, ...]
    wall_ms: float
    """from start to stop, by the host's monotonic clock"""
    cpu_ms: tuple[float, ...] = ()
    """CPU time of the whole process in each step, all threads together; empty on a GPU"""
    waited_ms: float | None = None
    """how long threads of this process could run and got no core; None where the system does not say"""


class HostClock:
    """Wall clock, and CPU time of the process beside it: for work that is done when the call returns.

    As with every clock: ``start()``, ``mark()`` after each step without waiting for it, ``stop()``; ``wait()`` where
    steps of another kind come next; ``now_ms()`` for budgets and warm-ups, from any origin; ``asynchronous``: whether a
    step's call returns before its work is done.
    """

    asynchronous = False

    def __init__(self) -> None:
        self._wall: list[int] = []
        self._cpu: list[int] = []
        self._waited: float | None = None

    def now_ms(self) -> float:
        """Monotonic, milliseconds."""
        return 1000 * time.perf_counter()

    def wait(self) -> None:
        """Work of the host is done when its call returns."""

    def start(self) -> None:
        """Before the first step."""
        self._wall, self._cpu = [], []
        self._waited = waited_for_cores_ms()
        self.mark()

    def mark(self) -> None:
        """After a step."""
        self._wall.append(time.perf_counter_ns())
        self._cpu.append(time.process_time_ns())

    def stop(self) -> Laps:
        """Times of the steps since ``start``."""
        after = waited_for_cores_ms()
        waited = None if self._waited is None or after is None else max(0.0, after - self._waited)
        return Laps(differences(self._wall), (self._wall[-1] - self._wall[0]) / 1e6, differences(self._cpu), waited)


class UndisturbedClock(HostClock):
    """Wall clock less the time in which the stepping thread could run and got no core (Linux, ``schedstat``).

    What a step does itself counts: computing, sleeping, waiting for a file or for its own threads. Only what other
    programs take does not, and that is most of the noise on a machine that is shared.
    """

    @staticmethod
    def works() -> bool:
        """Whether this system reports how long a thread has waited."""
        try:
            return len(SCHEDSTAT.read_text().split()) == 3
        except OSError:
            return False

    def start(self) -> None:
        """Before the first step."""
        self._wall, self._cpu, self._lost = [], [], list[int]()
        self._file = open_queue()
        self.mark()

    def mark(self) -> None:
        """After a step."""
        now, waited = stamp(self._file)
        self._wall.append(now)
        self._lost.append(waited)
        self._cpu.append(time.process_time_ns())

    def stop(self) -> Laps:
        """Times of the steps since ``start``, without what other programs took."""
        os.close(self._file)
        lost = differences(self._lost)
        steps = tuple(max(0.0, wall - waited) for wall, waited in zip(differences(self._wall), lost, strict=True))
        return Laps(steps, (self._wall[-1] - self._wall[0]) / 1e6, differences(self._cpu), sum(lost))


class EventClock:
    """One CUDA event after each step, read after the last step.

    ``stop`` waits for the whole device, whatever stream work was put on, and compares the events with the wall
    clock: work that the events missed, because it ran elsewhere or later, makes them disagree.
    """

    asynchronous = True

    def __init__(
        self,
        device: torch.device,
        new_event: Callable[[], Any] | None = None,
        synchronise: Callable[[], None] | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._record = new_event or (lambda: recorded_event(device))
        self.wait = synchronise or (lambda: torch.cuda.synchronize(device))
        self._now = now

    def now_ms(self) -> float:
        """Monotonic, of the host, milliseconds."""
        return 1000 * self._now()

    def start(self) -> None:
        """Waits for the device, then records the first event."""
        self.wait()
        self._began = self._now()
        self._events = [self._record()]

    def mark(self) -> None:
        """Records an event after a step."""
        self._events.append(self._record())

    def stop(self) -> Laps:
        """Raises TimingError where events and wall clock differ by more than 3%."""
        self.wait()
        wall = 1000 * (self._now() - self._began)
        steps = tuple(a.elapsed_time(b) for a, b in pairwise(self._events))
        check_clocks(sum(steps), wall)
        return Laps(steps, wall)


Clock = HostClock | EventClock


def clock_for(device: torch.device) -> Clock:
    """Events on a GPU, the host's clock on a CPU."""
    return EventClock(device) if device.type == "cuda" else HostClock()


def undisturbed_clock(device: torch.device) -> Clock:
    """The same; on a CPU without what other programs took, where the system reports it."""
    return UndisturbedClock() if device.type == "cpu" and UndisturbedClock.works() else clock_for(device)


def recorded_event(device: torch.device) -> torch.cuda.Event:
    """An event on the current stream of ``device``, which need not be the current device."""
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event


def check_clocks(device_ms: float, wall_ms: float) -> None:
    """Raise TimingError where they differ by more than 3% (and half a millisecond)."""
    if abs(wall_ms - device_ms) > DISAGREEMENT * wall_ms + SLACK_MS:
        raise TimingError(
            f"timing: the device's events say {device_ms:.1f} ms and the wall clock {wall_ms:.1f} ms for the same steps"
            f" (allowed: {DISAGREEMENT:.0%} apart); work ran on another stream, or after the last event"
        )


def differences(marks: Sequence[int]) -> tuple[float, ...]:
    """Moments in nanoseconds -> milliseconds from each to the next."""
    return tuple((b - a) / 1e6 for a, b in pairwise(marks))


def open_queue() -> int:
    """The scheduler's account of the calling thread, as a file that is kept open: reading it takes two microseconds."""
    return os.open(SCHEDSTAT, os.O_RDONLY)


def waited_ns(queue: int) -> int:
    """How long the thread that opened it could run and got no core, since it began."""
    return int(os.pread(queue, 64, 0).split()[1])


def stamp(queue: int) -> tuple[int, int]:
    """The time, and how long the thread had waited at that moment, nanoseconds both."""
    while True:
        waited = waited_ns(queue)
        now = time.perf_counter_ns()
        # Where the thread lost the core in between, the two are not of the same moment.
        if waited_ns(queue) == waited:
            return now, waited


def waited_for_cores_ms() -> float | None:
    """How long all threads of this process have waited in the run queue, milliseconds (Linux, ``schedstat``)."""
    try:
        return sum(int((task / "schedstat").read_text().split()[1]) for task in TASKS.iterdir()) / 1e6
    except (OSError, ValueError, IndexError):
        return None


def contended(laps: Laps, threads: int) -> bool | None:
    """Whether other programs took cores from the steps; None on a GPU. Two signs, either of which suffices.

    Threads waited for a core for more than 5% of the wall clock, by the system's account. Or the process got less CPU
    time than it should: with one thread as much as the wall clock shows, with more as much as in its best steps.
    """
    if not laps.cpu_ms:
        return None
    if laps.waited_ms is not None and laps.waited_ms > WAITING * laps.wall_ms:
        return True
    shares = sorted(cpu / step for cpu, step in zip(laps.cpu_ms, laps.step_ms, strict=True) if step > 0)
    if not shares:
        return None
    expected = 1.0 if threads == 1 else shares[int(0.9 * (len(shares) - 1))]
    return statistics.median(shares) < (1 - WAITING) * expected
