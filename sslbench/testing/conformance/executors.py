"""Executors: work comes back as records, then ``Ended``, once; also work whose plugins are nowhere to be found."""

from __future__ import annotations

import copy
import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

from sslbench.contracts.executor import (
    Ended,
    Evaluation,
    Event,
    Executor,
    ExecutorSpec,
    Handle,
    PluginChoice,
    TrainingSettings,
    Work,
)
from sslbench.execute.events import RecordMade
from sslbench.testing.conformance.check import Trial, check, faults_of
from sslbench.testing.conformance.fault import Fault
from sslbench.testing.conformance.problem import Problems

PATIENCE = 120.0
"""seconds that work without a plugin may take, workers' start included"""
NOBODYS = PluginChoice("nobody-has-a-plugin-of-this-name")
DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")
MOST = 3
"""pieces of work at a time"""
ONCE = "exactly one for each ``submit``, after all its other events"


@dataclass
class Submitted:
    """One piece of work, and what came back."""

    work: Work
    given: Work
    """a copy, which the executor had"""
    events: list[Event] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    handle: Any = None

    def emit(self, event: Event) -> None:
        """Takes one event, from any thread."""
        self.events.append(event)
        if isinstance(event, Ended):
            self.ended.set()

    @property
    def ends(self) -> list[Ended]:
        """Its ``Ended`` events."""
        return [event for event in self.events if isinstance(event, Ended)]


@dataclass(frozen=True)
class Session:
    """What came of several pieces of work, of one that was cancelled at once, and of ``close``."""

    done: Sequence[Submitted]
    cancelled: Submitted | None
    threads: Sequence[str]
    """names of those that are left, and keep a process from ending"""


def nobodys_work(key: str, out: str) -> Work:
    """Work that any process can do, since it fails where its plugins are looked up."""
    settings = TrainingSettings(device="cpu", precision="fp32")
    cells = tuple(Evaluation(f"{key}-{name}", NOBODYS) for name in "ab")
    return Work(key, {"method": NOBODYS, "dataset": NOBODYS}, 0, settings, None, cells, out)


def submit(executor: Executor, key: str, out: str) -> Submitted:
    """Give it one piece of work."""
    one = Submitted(nobodys_work(key, out), nobodys_work(key, out))
    one.handle = executor.submit(one.given, one.emit)
    return one


def session_of(trial: Trial) -> Session:
    """As many pieces of work at a time as it has slots, two at least; and one that is cancelled."""
    before, done = set(threading.enumerate()), list[Submitted]()
    executor: Executor = trial.build()
    at_once = max(1, min(executor.slots, MOST)) if isinstance(executor.slots, int) else 1
    with TemporaryDirectory() as out:
        try:
            while len(done) < 2:
                first = len(done)
                done += [submit(executor, f"work-{first + number}", out) for number in range(at_once)]
                if not all(one.ended.wait(trial.patience) for one in done[first:]):
                    return Session(done, None, ())
            for one in done:
                if isinstance(one.handle, Handle):
                    one.handle.cancel()  # of work that has ended: nothing more may come of it
            cancelled = submit(executor, "cancelled", out)
            if isinstance(cancelled.handle, Handle):
                cancelled.handle.cancel()
                cancelled.ended.wait(trial.patience)
        finally:
            executor.close()
            trial.built.close()
    threads = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in threads:
        thread.join(min(5.0, trial.patience))
    return Session(done, cancelled, [thread.name for thread in threads if thread.is_alive()])


@check("executor", "Runs ``sslbench.run_work(work, emit)`` somewhere and carries its events back", gate=True)
def is_one(trial: Trial) -> Problems:
    """It has what an executor has."""
    if not isinstance(trial.built, Executor):
        yield "build must return an object with slots, devices, submit and close"


@check("executor", "Pieces of work at a time, >= 1", "slots")
def slots_and_devices(trial: Trial) -> Problems:
    """One of each at least."""
    slots, devices = trial.built.slots, trial.built.devices()
    if isinstance(slots, bool) or not isinstance(slots, int):
        yield f"slots is {slots!r}, not a number of pieces of work"
    elif slots < 1 or not devices:
        yield "it offers no slot or no device"
    if isinstance(devices, str) or not all(isinstance(name, str) and DEVICE.fullmatch(name) for name in devices):
        yield f"devices() returned {devices!r:.60}; devices are such as ('cpu',) or ('cuda:0', 'cuda:1')"


@check("executor", ONCE, "submit")
def work_ends_once(trial: Trial) -> Problems:
    """Of each piece of work, the last event."""
    for one in trial.once(session_of).done:
        if not one.ends:
            yield f"no Ended came within {trial.patience:g} s of submit"
            return
        if [event.key for event in one.ends] != [one.work.key]:
            keys = [event.key for event in one.ends]
            yield f"Ended must come once for each submit, with the key of its work; it came for {keys}"
        if not isinstance(one.events[-1], Ended):
            yield "Ended must be the last event"


@check("executor", "Runs ``sslbench.run_work(work, emit)`` somewhere and carries its events back", "submit")
def records_come_back(trial: Trial) -> Problems:
    """One for each cell, that ``run_work`` made."""
    for one in trial.once(session_of).done:
        if not one.ends:
            return
        if one.ends[0].failure is not None:
            yield f"work whose plugins are not found ended with a failure: {one.ends[0].failure.reason}"
        if strangers := [event for event in one.events if not isinstance(event, Event)]:
            yield f"it emitted a {type(strangers[0]).__name__}, which is no event"
        records = [event.record for event in one.events if isinstance(event, RecordMade)]
        cells, expected = Counter(r.cell for r in records), Counter(e.cell for e in one.work.evaluations)
        if cells != expected:
            yield f"records came for {dict(cells)}, not once for each of {sorted(expected)}"
        elif not all(NOBODYS.name in (record.reason or "") for record in records):
            yield "its records are not those of run_work: no plugin is missing in them"
        if one.given != copy.copy(one.work):
            yield "it changed the work that it was given"


@check("executor", "Work under way", "submit")
def handles_are_returned(trial: Trial) -> Problems:
    """By ``submit``."""
    for one in trial.once(session_of).done[:1]:
        if not isinstance(one.handle, Handle):
            yield f"submit must return a handle with cancel(), not {type(one.handle).__name__}"


@check("executor", "End it as soon as may be. Returns at once; its ``Ended`` still comes", "submit")
def cancelled_work_ends(trial: Trial) -> Problems:
    """Once."""
    one = trial.once(session_of).cancelled
    if one is not None and isinstance(one.handle, Handle) and [event.key for event in one.ends] != [one.work.key]:
        keys = [event.key for event in one.ends]
        yield f"of work that was cancelled Ended must come once, with the key of its work; it came for {keys}"


@check("executor", "No more work comes: end what was kept for it", "close")
def nothing_is_left(trial: Trial) -> Problems:
    """No thread that would keep the process from ending."""
    if not trial.spec.detaches and (threads := trial.once(session_of).threads):
        yield f"after close() a thread goes on: {', '.join(threads)}"


def of_executor(spec: ExecutorSpec, params: Any, patience: float = PATIENCE) -> Problems:
    """Its problems, where it waits for work no longer than ``patience`` seconds."""
    found = faults_of(Trial(spec, params, patience))
    yield from (fault.text for fault in found if isinstance(fault, Fault))
