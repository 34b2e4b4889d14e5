"""Gives SLURM its jobs and brings their events back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

from sslbench import Emit, Failure, Warned, Work
from sslbench_plugins.executors.slurm.cluster import Cluster, Unreachable
from sslbench_plugins.executors.slurm.job import CANCELLED, SlurmJob
from sslbench_plugins.executors.slurm.params import SlurmParams
from sslbench_plugins.executors.slurm.submission import Submission
from sslbench_plugins.executors.slurm.watch import Watch

TICK = 1.0
"""seconds between two looks at the files of events"""
TOGETHER = 0.5
"""seconds without new work after which what has come is one array"""
LAST_TRIES, LONGEST_PAUSE = 12, 10.0
"""times that SLURM is told what it was not told yet when no more work comes, and seconds between them"""
NOT_SUBMITTED = Failure("refused: SLURM does not answer, and the job was not submitted", "refused")


class Slurm:
    """One job for each piece of work. A thread of its own submits them and follows them; nothing is started before the
    first work comes."""

    def __init__(
        self,
        params: SlurmParams,
        devices: int,
        cluster: Cluster,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.params, self.cluster, self._clock, self._pause = params, cluster, clock, pause
        self.slots = params.jobs
        self._submission, self._watch = Submission(params, devices, cluster), Watch(params, cluster)
        self._jobs: list[SlurmJob] = []
        """that have not ended"""
        self._arrived: SimpleQueue[SlurmJob] = SimpleQueue()
        self._last_arrival = self._next_look = self._not_before = 0.0
        self._wake, self._closing = threading.Event(), False
        self._thread: threading.Thread | None = None

    def devices(self) -> tuple[str, ...]:
        """The kind alone: which GPU a job gets is SLURM's business."""
        return ("cuda",) if self.params.gpus else ("cpu",)

    def submit(self, work: Work, emit: Emit) -> SlurmJob:
        """Submit a job, or take up the one that an earlier process left; what that has done is emitted at once."""
        job = SlurmJob(replace(work, out=os.path.abspath(work.out)), emit, self._wake.set)
        if job.find():
            job.read()
        if not job.ended:
            self._arrived.put(job)
            self._start()
        return job

    def close(self) -> None:
        """Submit what still waits, cancel what is to be cancelled, and leave the rest to SLURM."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        for attempt in range(LAST_TRIES):
            self._not_before = 0.0
            self.round()
            undone = self._undone()
            if not undone or (attempt and all(job.cancelled for job in undone)):  # who interrupts does not wait long
                break
            self._pause(min(self.params.poll, LONGEST_PAUSE))
        for job in self._undone():
            if job.cancelled:
                job.emit(Warned(f"job {job.id} could not be cancelled; scancel {job.id} ends it"))
            job.finish(CANCELLED if job.cancelled else NOT_SUBMITTED)

    def _undone(self) -> list[SlurmJob]:
        """Jobs that SLURM has still to be told of."""
        return [job for job in self._jobs if not job.id or (job.cancelled and not job.cancel_sent)]

    def round(self) -> None:
        """Submit, cancel, read, and where it is time look at the queue."""
        now = self._clock()
        self._take_arrived(now)
        for job in self._jobs:
            if job.id:
                job.read()
        try:
            if now >= self._not_before:
                self._cancel()
                if self._closing or not self.params.array or now - self._last_arrival >= TOGETHER:
                    self._submission.submit([job for job in self._jobs if not job.id and not job.ended])
                self._watch.answered()
        except Unreachable as error:
            self._watch.away(error, self._jobs)
            self._not_before = now + self.params.poll
        if now >= self._next_look:
            self._watch.look(self._jobs, now)
            self._next_look = now + self.params.poll
        self._jobs = [job for job in self._jobs if not job.ended]

    def _take_arrived(self, now: float) -> None:
        with suppress(Empty):
            while True:
                self._jobs.append(self._arrived.get_nowait())
                self._last_arrival = now

    def _cancel(self) -> None:
        """Cancel what is to be cancelled. Raises Unreachable."""
        asked = [job for job in self._jobs if job.cancelled and not job.cancel_sent and not job.ended]
        for job in asked:
            if not job.id:
                job.finish(CANCELLED)
        known = [job for job in asked if job.id]
        if known:
            self.cluster.cancel([job.id for job in known])
            self._next_look = 0.0  # it ends as soon as the queue says so
        for job in known:
            job.cancel_sent = True

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="slurm", daemon=True)
            self._thread.start()
        self._wake.set()

    def _follow(self) -> None:
        while not self._closing:
            self._wake.clear()
            try:
                self.round()
            except Exception as error:  # else nothing would ever end
                for job in self._jobs:
                    job.finish(Failure(f"lost: following job {job.id} failed: {type(error).__name__}: {error}"))
                self._jobs = []
            self._wake.wait(min(TICK, self.params.poll))
