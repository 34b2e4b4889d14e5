"""A pool of worker processes. One thread decides everything: calls, lines, deaths and deadlines reach it in a queue."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sslbench import Emit, Failure, Work
from sslbench_plugins.executors.workers.places import Place
from sslbench_plugins.executors.workers.process import command
from sslbench_plugins.executors.workers.slot import CANCELLED, Job, Slot, Surroundings

CLOSE_SECONDS = 5.0
"""that a worker without work has to end in"""
LONGEST_WAIT = 1e6
"""seconds that a queue can be waited for, and less than some limits"""


@dataclass(frozen=True)
class WorkHandle:
    """Work that was given to the pool."""

    cancel: Callable[[], None]


class Workers:
    """Runs each piece of work in a worker process."""

    def __init__(
        self,
        places: Sequence[Place],
        devices: tuple[str, ...] = ("cpu",),
        arguments: Callable[[], list[str]] = command,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """One worker in each of ``places``, started by ``arguments``. No process is started yet."""
        self.slots, self._devices, self._clock = len(places), devices, clock
        self._waiting: deque[Job] = deque()
        self._inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        surroundings = Surroundings(arguments, clock, self.call, self._waiting.appendleft)
        self._slots = [Slot(place, surroundings) for place in places]
        self._closing: float | None = None
        """when workers that have not ended by themselves are killed"""
        self._thread: threading.Thread | None = None

    def devices(self) -> tuple[str, ...]:
        """The CPU, or the GPUs that were asked for."""
        return self._devices

    def submit(self, work: Work, emit: Emit) -> WorkHandle:
        """Give it to a free worker, or to the next one that is."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="workers", daemon=True)
            self._thread.start()
        job = Job(work, emit)
        self.call(partial(self._waiting.append, job))
        return WorkHandle(partial(self.call, partial(self._cancel, job)))

    def close(self) -> None:
        """End every worker and the thread; work that is under way is cancelled."""
        if self._thread is not None:
            self.call(self._close)
            self._thread.join()

    def call(self, what: Callable[[], object]) -> None:
        """Let the thread do it; without effect once it has ended."""
        self._inbox.put(what)

    def _run(self) -> None:
        while self._closing is None or any(slot.process for slot in self._slots):
            deadlines = [deadline for slot in self._slots if (deadline := slot.deadline(self._closing)) is not None]
            left = min(max(0.0, min(deadlines) - self._clock()), LONGEST_WAIT) if deadlines else None
            try:
                with suppress(queue.Empty):
                    self._inbox.get(timeout=left)()
                self._end_overdue()
                self._start_waiting()
            except Exception as error:
                self._give_up(Failure(f"lost: the pool of workers failed: {type(error).__name__}: {error}"))

    def _end_overdue(self) -> None:
        for slot in self._slots:
            deadline = slot.deadline(self._closing)
            if deadline is not None and deadline <= self._clock():
                slot.end_overdue()

    def _start_waiting(self) -> None:
        while self._waiting and (free := [slot for slot in self._slots if slot.free]):
            job = self._waiting.popleft()
            self._best(free, job.dataset).start(job)

    def _best(self, free: Sequence[Slot], dataset: str) -> Slot:
        """The one whose GPU is shared with fewest others, then one that has read the data set, then a warm one."""

        def cost(slot: Slot) -> tuple[int, bool, bool]:
            sharing = sum(other.job is not None and other.place == slot.place for other in self._slots)
            return sharing if slot.place.device != "cpu" else 0, slot.dataset != dataset, slot.process is None

        return min(free, key=cost)

    def _cancel(self, job: Job) -> None:
        if job in self._waiting:
            self._waiting.remove(job)
            job.end(CANCELLED)
        for slot in self._slots:
            if slot.job is job:
                slot.kill(CANCELLED)

    def _close(self) -> None:
        self._closing = self._clock() + CLOSE_SECONDS
        while self._waiting:
            self._waiting.popleft().end(CANCELLED)
        for slot in self._slots:
            if slot.job is not None:
                slot.kill(CANCELLED)
            elif slot.process is not None:
                slot.process.finish()

    def _give_up(self, failure: Failure) -> None:
        """End all work for a mistake of this pool or of who takes its events."""
        jobs = [*self._waiting, *(slot.job for slot in self._slots if slot.job)]
        self._waiting.clear()
        for slot in self._slots:
            slot.job = None
            slot.kill(failure)
        for job in jobs:
            with suppress(Exception):
                job.end(failure)
