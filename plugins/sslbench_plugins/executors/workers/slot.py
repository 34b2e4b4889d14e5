"""A place for one worker process: starts it with the first work, keeps it for the next, replaces it when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from sslbench import Emit, Ended, Event, Failure, Printed, StageStarted, Work, from_line, how_it_ended, to_line
from sslbench_plugins.executors.workers.places import Place
from sslbench_plugins.executors.workers.process import WorkerProcess
from sslbench_plugins.executors.workers.protocol import BEGIN, END_OF_PRINTED, LEAVING
from sslbench_plugins.executors.workers.watch import Watch

CANCELLED = Failure("cancelled", kind="cancelled")


@dataclass(eq=False)
class Job:
    """One piece of work on its way."""

    work: Work
    emit: Emit
    begun: bool = False
    """whether a worker has taken it"""
    all_printed: bool = False
    """whether nothing that it printed is on its way"""
    ended: Ended | None = None
    """what its worker said when it was done"""

    def end(self, failure: Failure | None) -> None:
        """Say that it has ended."""
        self.emit(Ended(self.work.key, failure))

    @property
    def dataset(self) -> str:
        """What it reads."""
        choice = self.work.plugins["dataset"]
        return f"{choice.name} {sorted(choice.params.items())}"


@dataclass(frozen=True)
class Surroundings:
    """What a slot is given by its pool."""

    arguments: Callable[[], list[str]]
    """that start a worker process"""
    clock: Callable[[], float]
    """seconds"""
    call: Callable[[Callable[[], object]], None]
    """lets the pool's thread do something"""
    give_back: Callable[[Job], object]
    """takes a job that another worker should do"""


@dataclass(eq=False)
class Slot:
    """Everything is called in the pool's thread, which also starts the processes."""

    place: Place
    pool: Surroundings
    process: WorkerProcess | None = None
    job: Job | None = None
    dataset: str = ""
    """what its process read last"""

    def __post_init__(self) -> None:
        self._watch = Watch(None, 0.0)
        self._verdict: Failure | None = None
        """why its process is being ended from here"""
        self._leaving = self._warm = False
        """whether its process takes no more work; whether it has done some"""

    @property
    def free(self) -> bool:
        """Whether it can be given work."""
        return self.job is None and not self._leaving and self._verdict is None

    def deadline(self, closing: float | None) -> float | None:
        """When its process is to be killed; ``closing``: of one without work."""
        if self.process is None or self._verdict is not None:
            return None
        return closing if self.job is None else self._watch.deadline

    def end_overdue(self) -> None:
        """Its deadline has passed."""
        self.kill(CANCELLED if self.job is None else self._watch.failure)

    def kill(self, verdict: Failure) -> None:
        """End its process; its work ends for this reason when the process has."""
        if self.process is not None and self._verdict is None:
            self._verdict = verdict
            self.process.kill()

    def start(self, job: Job) -> None:
        """Send the job to the process, which is started where there is none."""
        self.job, self.dataset = job, job.dataset
        self._watch = Watch(job.work.training.time_limit, self.pool.clock())
        training = job.work.training.model_copy(update={"device": self.place.device})
        line = to_line(replace(job.work, training=training, at_once=self.place.at_once))
        if self.process is None:
            job.emit(StageStarted(self._watch.stage))
            try:
                self._start_process()
            except OSError as error:
                return self._end_job(Failure(f"lost: no worker process could be started: {error}"))
        assert self.process is not None
        return self.process.send(line)

    def _start_process(self) -> None:
        self.process = process = WorkerProcess(self.pool.arguments(), self.place.environment)
        self._warm = False

        def soon(method: Callable[..., None], given: object) -> None:
            self.pool.call(lambda: method(given) if self.process is process else None)

        process.listen(partial(soon, self._line), partial(soon, self._printed), partial(soon, self._exited))

    def _end_job(self, failure: Failure | None) -> None:
        job, self.job = self.job, None
        if job is not None:
            job.end(failure)

    def _line(self, line: str) -> None:
        """What the worker says of its work."""
        if self.job is None:
            return
        if line == BEGIN:
            self.job.begun = True
            self._watch.begin(self.pool.clock())
        elif line == LEAVING:
            self._leaving = True
        else:
            self._event(self.job, line)

    def _event(self, job: Job, line: str) -> None:
        try:
            event = from_line(line)
        except ValueError as error:
            self.kill(Failure(f"lost: the worker process wrote what is {error}"))
            return
        if isinstance(event, Ended):
            job.ended = event
            self._end_if_done(job)
        elif isinstance(event, Event):
            self._watch.see(event, self.pool.clock())
            job.emit(event)

    def _printed(self, text: str) -> None:
        if self.job is None:
            return
        line, end, _ = text.partition(END_OF_PRINTED)
        if line or not end:
            self.job.emit(Printed(line))
        if end:
            self.job.all_printed = True
            self._end_if_done(self.job)

    def _end_if_done(self, job: Job) -> None:
        """Events and what is printed come by two pipes, one of which is slower."""
        if job.ended is not None and job.all_printed:
            self._warm = True
            self._end_job(job.ended.failure)
            if self._leaving and self.process is not None:
                self.process.kill()

    def _exited(self, code: int) -> None:
        """The process is no more, and whatever it said was passed on."""
        process, job, verdict = self.process, self.job, self._verdict
        self.process = self._verdict = None
        self._leaving, self.dataset = False, ""
        if job is not None and not job.begun and self._warm and verdict is None:
            # It died between two pieces of work, which says nothing about this one.
            self.job = None
            self.pool.give_back(job)
        elif job is not None and process is not None:
            said = job.ended.failure if job.ended is not None else None
            failure = said or verdict or Failure(f"lost: the worker process {how_it_ended(code)}")
            self._end_job(replace(failure, detail=failure.detail or process.last_words))
