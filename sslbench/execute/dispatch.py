"""Gives an executor its work, one piece for each free slot, and sees to it that every cell ends with a record.

Driven by events: nothing waits for one piece of work in particular. A worker that is lost costs the cell that it was
at; what else it had to do is given to another.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace

from sslbench.contracts.executor import Ended, Event, Executor, Failure, Handle, Work
from sslbench.errors import SslbenchError
from sslbench.execute.events import CellStarted, PretrainingEnded, PretrainingStarted, RecordMade, Warned
from sslbench.hooks.registry import one_line
from sslbench.store.record import Record, Status

LAST_WORDS = 10.0
"""seconds that cancelled work has to end in"""
OnLost = Callable[[str, Status, str, str], Record]
"""(cell, status, reason, traceback) -> the record of a cell whose worker made none"""


@dataclass
class Job:
    """A pretraining of this run, through all its attempts."""

    work: Work
    """its evaluations are those that have no record yet"""
    started: PretrainingStarted
    lost: int = 0
    """attempts that were lost and tried again"""
    at: str | None = None
    """the cell that is evaluated now"""
    made: bool = False
    """whether this attempt has made a record"""
    lost_part: str = ""
    """why this attempt made no record of some cells though its worker lives: it lost a process of its own"""
    out_of_memory: list[str] = field(default_factory=list)
    """cells that are tried again with fewer images at once"""
    attempt: int = 0
    handle: Handle | None = None

    @property
    def cells(self) -> list[str]:
        """Those that have no record yet, in order."""
        return [evaluation.cell for evaluation in self.work.evaluations]

    def done(self, *cells: str) -> None:
        """These have their records."""
        self.work = replace(self.work, evaluations=tuple(e for e in self.work.evaluations if e.cell not in cells))


@dataclass
class Dispatch:
    """One run of jobs on one executor. Only the thread that calls ``run`` passes events on."""

    executor: Executor
    retries: int
    """times that a pretraining is given to another worker when its own is lost"""
    receive: Callable[[Event], None]
    """takes each event, with its ``work``; stores what is to be stored"""
    lost_record: OnLost

    def __post_init__(self) -> None:
        self._events: queue.SimpleQueue[tuple[Job, int, Event]] = queue.SimpleQueue()
        self._again: deque[Job] = deque()
        self._running: list[Job] = []
        self._thread = threading.get_ident()
        self._cancelled = False

    def run(self, jobs: Iterator[Job]) -> None:
        """Until every job has ended. KeyboardInterrupt ends the work that is under way; its records are kept."""
        try:
            while self._fill(jobs) or self._running:
                if self._running:
                    self._take(*self._events.get())
        except KeyboardInterrupt:
            self._cancel()
            raise
        finally:
            self._close()

    def detach(self, jobs: Iterator[Job]) -> int:
        """Submit everything, however many slots there are, and leave it; returns how many pieces of work go on."""
        try:
            for job in jobs:
                self._start(job)
        except KeyboardInterrupt:
            self._cancel()
            raise
        finally:
            self._close()
        return len(self._running)

    def _fill(self, jobs: Iterator[Job]) -> bool:
        """Give the free slots their work; whether there was any."""
        began = False
        while len(self._running) < max(1, self.executor.slots):
            job = self._again.popleft() if self._again else next(jobs, None)
            if job is None:
                break
            self._start(job)
            began = True
        return began

    def _start(self, job: Job) -> None:
        if job.attempt == 0:
            self._pass_on(job, job.started)
        job.attempt += 1
        job.at, job.made, job.lost_part, job.handle = None, False, "", None
        self._running.append(job)
        attempt = job.attempt

        def emit(event: Event) -> None:
            if threading.get_ident() == self._thread:
                self._take(job, attempt, event)
            else:
                self._events.put((job, attempt, event))

        try:
            job.handle = self.executor.submit(work_for(job), emit)
        except Exception as error:
            reason = error.messages[0] if isinstance(error, SslbenchError) else one_line(error)
            emit(Ended(job.work.key, Failure(f"the executor did not take it: {reason}", "refused")))

    def _take(self, job: Job, attempt: int, event: Event) -> None:
        """One event of a job; those of an attempt that has ended come too late."""
        if attempt != job.attempt or job not in self._running:
            return
        if isinstance(event, Ended):
            self._ended(job, event.failure)
        elif isinstance(event, RecordMade):
            self._record(job, event)
        else:
            if isinstance(event, CellStarted):
                job.at = event.cell
            self._pass_on(job, event)

    def _record(self, job: Job, event: RecordMade) -> None:
        cell = event.record.cell
        if cell not in job.cells:
            return self._pass_on(job, Warned(f"a worker sent a record of cell {cell}, which it was not asked for"))
        job.at = None
        if event.record.status == "oom" and self.retries and not halved(job):
            job.out_of_memory.append(cell)
            return None
        if is_lost(event.record) and job.lost < self.retries:
            job.lost_part = event.record.reason or ""
            return None
        job.done(cell)
        job.made = True
        return self._pass_on(job, event)

    def _ended(self, job: Job, failure: Failure | None) -> None:
        self._running.remove(job)
        if self._cancelled:
            return
        if failure is None and job.lost_part:
            failure = Failure(job.lost_part)
        if failure is None and job.out_of_memory:
            self._without(job, set(job.cells) - {*job.out_of_memory}, Failure(SILENT))
            batch = job.work.evaluation_batch // 2
            self._retry(job, f"out of memory; tried again with {batch} images at once")
            job.work = replace(job.work, evaluation_batch=batch)
        elif failure is None:
            self._without(job, job.cells, Failure(SILENT))
        elif failure.kind == "lost" and job.lost < self.retries:
            job.lost += 1
            self._retry(job, f"{failure.reason}; tried again ({job.lost} of {self.retries})")
        else:
            self._without(job, blamed(job, failure), failure)
            if job.cells:
                job.lost = 0
                self._again.append(job)
        job.out_of_memory = []
        if job not in self._again:
            self._pass_on(job, PretrainingEnded(job.started.number))

    def _retry(self, job: Job, why: str) -> None:
        self._again.append(job)
        self._pass_on(job, Warned(f"{job.started.name}: {why}"))

    def _without(self, job: Job, cells: Collection[str], failure: Failure) -> None:
        """Make the records of cells whose worker made none."""
        status: Status = "timeout" if failure.kind == "timeout" else "failed"
        for cell in [cell for cell in job.cells if cell in cells]:
            job.done(cell)
            self._pass_on(job, RecordMade(self.lost_record(cell, status, failure.reason, failure.detail)))

    def _pass_on(self, job: Job, event: Event) -> None:
        self.receive(replace(event, work=job.work.key))

    def _cancel(self) -> None:
        """End what is under way, and take what it still has to say."""
        self._cancelled = True
        for job in list(self._running):
            if job.handle is not None:
                job.handle.cancel()
        self._running = [job for job in self._running if job.handle is not None]
        end = time.monotonic() + LAST_WORDS
        with suppress(queue.Empty):
            while self._running:
                self._take(*self._events.get(timeout=max(0.0, end - time.monotonic())))

    def _close(self) -> None:
        """Close the executor, then take what it left to say."""
        try:
            self.executor.close()
        except Exception as error:
            self.receive(Warned(f"closing the executor: {one_line(error)}"))
        with suppress(queue.Empty):
            while True:
                self._take(*self._events.get_nowait())


SILENT = "the worker ended without a record of this cell"


def blamed(job: Job, failure: Failure) -> list[str]:
    """The cells that a failure is put down to: all where the work was refused or cancelled, else the one that the
    worker was at, none if it is lost between two cells, all before the first."""
    if job.at in job.cells and failure.kind in ("lost", "timeout"):
        return [job.at]
    return [] if job.made and failure.kind == "lost" else job.cells


def is_lost(record: Record) -> bool:
    """Whether it is of a worker that lost a process of its own, such as a rank."""
    return record.status == "failed" and (record.reason or "").startswith("lost: ")


def halved(job: Job) -> bool:
    """Whether it is tried again with fewer images at once."""
    return job.work.evaluation_batch < Work.evaluation_batch


def work_for(job: Job) -> Work:
    """What the next attempt has to do; only the first one begins anew where that was asked for."""
    return replace(deepcopy(job.work), fresh=job.work.fresh and job.attempt == 1)
