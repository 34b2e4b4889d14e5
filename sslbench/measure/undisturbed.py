"""A host clock that stands still while other programs have the core."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sslbench.measure.clocks import Clock, HostClock, Laps, differences

SCHEDSTAT = Path("/proc/thread-self/schedstat")


class UndisturbedClock:
    """Wall clock less the time in which the stepping thread could run and got no core (Linux, ``schedstat``).

    What a step does itself counts: computing, sleeping, waiting for a file or for its own threads. Only what other
    programs take does not, and that is most of the noise on a machine that is shared. CPU time would leave out the
    sleeping and the waiting as well.
    """

    def __init__(self) -> None:
        self._wall: list[int] = []
        self._waited: list[int] = []
        self._cpu: list[int] = []
        self._file = -1

    @staticmethod
    def works() -> bool:
        """Whether this system reports how long a thread has waited."""
        try:
            return len(SCHEDSTAT.read_text().split()) == 3
        except OSError:
            return False

    def now_ms(self) -> float:
        """Wall clock, monotonic, milliseconds."""
        return 1000 * time.perf_counter()

    def wait(self) -> None:
        """Work of the host is done when its call returns."""

    def start(self) -> None:
        """Before the first step."""
        self._wall, self._waited, self._cpu = [], [], []
        self._file = open_queue()
        self.mark()

    def mark(self) -> None:
        """After a step."""
        now, waited = stamp(self._file)
        self._wall.append(now)
        self._waited.append(waited)
        self._cpu.append(time.process_time_ns())

    def stop(self) -> Laps:
        """Times of the steps since ``start``, without what other programs took."""
        os.close(self._file)
        lost = differences(self._waited)
        steps = tuple(max(0.0, wall - waited) for wall, waited in zip(differences(self._wall), lost, strict=True))
        return Laps(steps, (self._wall[-1] - self._wall[0]) / 1e6, differences(self._cpu), sum(lost))


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


def undisturbed_clock() -> Clock:
    """For steps on a CPU: the plain wall clock where the system does not report waiting."""
    return UndisturbedClock() if UndisturbedClock.works() else HostClock()
