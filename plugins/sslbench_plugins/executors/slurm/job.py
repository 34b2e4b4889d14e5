"""One piece of work on the cluster: its job, its files, and its events on their way to the scheduler."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sslbench import Emit, Ended, Event, EventFile, Failure, RecordMade, StageStarted, Work, WorkFiles, to_line
from sslbench_plugins.executors.slurm.cluster import JobState

CANCELLED = Failure("cancelled", "cancelled")


@dataclass(frozen=True)
class Note:
    """What is kept of a job, so that another process finds it."""

    job: str
    name: str
    cells: tuple[str, ...]
    """that it was submitted for"""

    @classmethod
    def read(cls, path: Path) -> Note | None:
        """From a file; None where there is none that can be read."""
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            values: dict[str, Any] = json.loads(path.read_text())
            return cls(str(values["job"]), str(values["name"]), tuple(map(str, values["cells"])))
        return None

    def write(self, path: Path) -> None:
        """To a file. Raises OSError."""
        path.write_text(json.dumps(vars(self)) + "\n")


class SlurmJob:
    """The handle of a piece of work. All but ``cancel`` is called from one thread at a time."""

    def __init__(self, work: Work, emit: Emit, wake: Callable[[], object]) -> None:
        self.work, self._emit, self._wake = work, emit, wake
        self.files = WorkFiles(Path(work.out), work.key)
        self.id, self.name = "", ""
        """of SLURM: number, or ``ARRAY_ELEMENT``; and name, from the moment that it is submitted"""
        self.replaces: Note | None = None
        """the job that has to be gone first: it does the same work, which is asked for anew"""
        self.ended = self.cancelled = self.cancel_sent = False
        self.state: JobState | None = None
        """when the queue was last asked"""
        self.waits_since: float | None = None
        self.told_why_it_waits = False
        self.missed = 0
        """looks at the queue in a row by which it had ended"""
        self._forget()

    def _forget(self) -> None:
        self._events = EventFile(self.files.events)
        self._planned: frozenset[str] | None = None
        self._made: set[str] = set()
        self._beat: tuple[float, float] | None = None
        self.began = False
        """whether its worker reported anything"""

    @property
    def note(self) -> Path:
        """The file that says which job does this work."""
        return self.files.work.with_suffix(".json")

    @property
    def log(self) -> Path:
        """What its job prints."""
        return self.files.work.with_name(f"{self.id}.log")

    def cancel(self) -> None:
        """Take the job out of the queue, or end it."""
        self.cancelled = True
        self._wake()

    def find(self) -> bool:
        """Whether an earlier process left a job of this work, or what it did."""
        note = Note.read(self.note)
        if self.work.fresh:
            self.replaces = note
            return False
        if note is not None:
            self.id, self.name, self._planned = note.job, note.name, frozenset(note.cells)
            return True
        with suppress(OSError):
            return any(isinstance(event, Ended) for event in EventFile(self.files.events).new())
        return False

    def prepare(self) -> Path:
        """Write what the worker is to do, and return the file. Raises OSError."""
        self._remove()
        for path in (self.files.work, self.files.events):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.files.work.write_text(to_line(self.work) + "\n")
        return self.files.work

    def submitted(self, job: str) -> None:
        """It is in the queue as this job."""
        self.id = job
        with suppress(OSError):  # then nobody finds it again
            Note(job, self.name, tuple(evaluation.cell for evaluation in self.work.evaluations)).write(self.note)
        self.emit(StageStarted(f"waiting for SLURM (job {job})"))

    def read(self) -> None:
        """Emit what its worker has reported since."""
        try:
            events = self._events.new()
        except OSError:  # a shared folder that is away for a moment
            return None
        for event in events:
            self.began = True
            if isinstance(event, Ended):
                return self._end_or_go_on(event.failure)
            if isinstance(event, RecordMade):
                if event.record.cell not in self._asked:
                    continue
                self._made.add(event.record.cell)
            self.emit(event)
        return None

    @property
    def _asked(self) -> frozenset[str]:
        return frozenset(evaluation.cell for evaluation in self.work.evaluations)

    def _end_or_go_on(self, failure: Failure | None) -> None:
        """The job has done what it was submitted for; where that was less than is asked now, it needs another."""
        new = self._asked - self._planned - self._made if self._planned is not None else frozenset()
        if failure is not None or not new or self.cancelled:
            return self.finish(failure)
        left = tuple(evaluation for evaluation in self.work.evaluations if evaluation.cell in new)
        self.work = replace(self.work, evaluations=left)
        self.id, self.name, self.state = "", "", None
        self._remove()
        return self._forget()

    def finish(self, failure: Failure | None) -> None:
        """Emit how it ended, and remove the files that have served; the log stays."""
        if not self.ended:
            self.ended = True
            self.emit(Ended(self.work.key, failure))
            self._remove()

    def _remove(self) -> None:
        for path in (self.files.work, self.files.events, self.files.heartbeat, self.note):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def emit(self, event: Event) -> None:
        """Give the scheduler an event."""
        self._emit(event)

    def lives(self, now: float, patience: float) -> bool:
        """Whether its heartbeat has changed within so many seconds of this machine's clock, or was not looked at."""
        try:
            touched = self.files.heartbeat.stat().st_mtime
        except OSError:
            touched = 0.0
        if self._beat is None or self._beat[0] != touched:
            self._beat = (touched, now)
        return now - self._beat[1] < patience
