"""Two clocks for a row of steps: the host's for a CPU, events for a GPU. Neither waits between two steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import torch

from sslbench.errors import TimingError

DISAGREEMENT = 0.03
"""share by which the device's clock and the host's may differ"""
SLACK_MS = 0.5
"""what starting and stopping may cost beside that"""
WAITING = 0.05
"""share of the wall clock that threads may wait for a core before a run counts as contended"""
TASKS = Path("/proc/self/task")


@dataclass(frozen=True)
class Laps:
    """What a clock saw, milliseconds."""

    step_ms: tuple[float, ...]
    wall_ms: float
    """from start to stop, by the host's monotonic clock"""
    cpu_ms: tuple[float, ...] = ()
    """CPU time of the whole process in each step, all threads together; empty on a GPU"""
    waited_ms: float | None = None
    """how long threads of this process could run and got no core; None where the system does not say"""


class Clock(Protocol):
    """``start()``, ``mark()`` after each step, ``stop()``; ``wait()`` where steps of another kind follow."""

    def now_ms(self) -> float:
        """The host's time, from any origin: what budgets and warm-ups go by."""
        ...

    def wait(self) -> None:
        """Until the device has done what it was given."""
        ...

    def start(self) -> None: ...

    def mark(self) -> None: ...

    def stop(self) -> Laps: ...


class HostClock:
    """Wall clock, and CPU time of the process beside it: for work that is done when the call returns."""

    def __init__(self) -> None:
        self._wall: list[int] = []
        self._cpu: list[int] = []
        self._waited: float | None = None

    def now_ms(self) -> float:
        return 1000 * time.perf_counter()

    def wait(self) -> None:
        """Work of the host is done when its call returns."""

    def start(self) -> None:
        self._wall, self._cpu = [], []
        self._waited = waited_for_cores_ms()
        self.mark()

    def mark(self) -> None:
        self._wall.append(time.perf_counter_ns())
        self._cpu.append(time.process_time_ns())

    def stop(self) -> Laps:
        after = waited_for_cores_ms()
        known = self._waited is not None and after is not None
        return Laps(
            differences(self._wall),
            (self._wall[-1] - self._wall[0]) / 1e6,
            differences(self._cpu),
            max(0.0, after - self._waited) if known else None,  # type: ignore[operator]
        )


class EventClock:
    """One CUDA event after each step, read after the last one.

    ``stop`` waits for the whole device, whatever stream work was put on, and holds the events against the wall
    clock: work that the events did not see, because it ran elsewhere or later, makes them disagree.
    """

    def __init__(
        self,
        device: torch.device,
        new_event: Callable[[], Any] | None = None,
        synchronise: Callable[[], None] | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._record = new_event or (lambda: recorded_event(device))
        self._synchronise = synchronise or (lambda: torch.cuda.synchronize(device))
        self._now = now
        self._events: list[Any] = []
        self._began = 0.0

    def now_ms(self) -> float:
        return 1000 * self._now()

    def wait(self) -> None:
        self._synchronise()

    def start(self) -> None:
        self._events = []
        self._synchronise()
        self._began = self._now()
        self.mark()

    def mark(self) -> None:
        self._events.append(self._record())

    def stop(self) -> Laps:
        """Raises TimingError where events and wall clock differ by more than 3%."""
        self._synchronise()
        wall = 1000 * (self._now() - self._began)
        steps = tuple(a.elapsed_time(b) for a, b in pairwise(self._events))
        check_clocks(sum(steps), wall)
        return Laps(steps, wall)


def clock_for(device: torch.device) -> Clock:
    return EventClock(device) if device.type == "cuda" else HostClock()


def recorded_event(device: torch.device) -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event


def check_clocks(device_ms: float, wall_ms: float) -> None:
    """Raise TimingError where they differ by more than 3% (and half a millisecond)."""
    apart = abs(wall_ms - device_ms)
    if apart > DISAGREEMENT * wall_ms + SLACK_MS:
        raise TimingError(
            f"timing: the device's events say {device_ms:.1f} ms and the wall clock {wall_ms:.1f} ms for the same steps"
            f" (allowed: {DISAGREEMENT:.0%} apart); work ran on another stream, or after the last event"
        )


def differences(marks: Sequence[int]) -> tuple[float, ...]:
    """Nanoseconds -> milliseconds between each two."""
    return tuple((b - a) / 1e6 for a, b in pairwise(marks))


def waited_for_cores_ms() -> float | None:
    """How long all threads of this process have waited in the run queue, milliseconds (Linux, ``schedstat``)."""
    waited = 0
    try:
        for task in TASKS.iterdir():
            waited += int((task / "schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return waited / 1e6


def contended(laps: Laps, threads: int) -> bool | None:
    """Whether other programs took cores from the steps; None on a GPU.

    Two signs, either of which suffices. Threads waited for a core for more than 5% of the wall clock, by the system's
    account. Or the process got less CPU time than it should: with one thread as much as the wall clock shows; with
    more it depends on the step how well they are used, so the best tenth of the steps says how much it can be.
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
