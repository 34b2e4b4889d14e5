"""What a run reports to its observers, in the words of their contract."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sslbench.contracts.executor import EpochEnded, Event
from sslbench.contracts.observer import ObservedPretraining, ObservedRun
from sslbench.errors import UserError
from sslbench.execute.events import PretrainingEnded, PretrainingStarted, Printed, RecordMade, Warned
from sslbench.execute.observe import to_line
from sslbench.execute.observer_process import ObserverProcess
from sslbench.plan.cell import Cell, digest
from sslbench.plan.observers import Observers
from sslbench.plan.plan import Group

PATIENCE, INTERRUPTED_PATIENCE = 30.0, 5.0
"""seconds that observers have to take what is left when a run has ended, and when it was interrupted"""


class Reports:
    """Gives every observer its calls; one that fails is left out from then on."""

    def __init__(self, observers: Sequence[ObserverProcess] = ()) -> None:
        self._observers = list(observers)
        self._failed: list[ObserverProcess] = []
        self._calls = 0
        self._groups: Mapping[str, Group] = {}
        self._evaluators: Mapping[str, Mapping[str, str]] = {}
        self._statuses: dict[str, Counter[str]] = {}
        """by pretraining, of those that are under way"""
        self._out, self._fresh = "", False

    def run_started(
        self, run: ObservedRun, groups: Sequence[Group], cells: Sequence[Cell], fresh: bool, done: int
    ) -> Iterator[Event]:
        """``groups``: what is to run; ``cells``: all of the suite; ``done``: how many of these have their results.
        Returns what the user should see."""
        self._out, self._fresh = run.out, fresh
        if self._observers:
            self._groups = {group.pretraining.key: group for group in groups}
            self._evaluators = evaluators_in_words(cells)
            self._call("run_started", run)
            if done:
                yield Warned(f"observers get nothing of what was done before: {done} of {len(cells)} cells")

    def see(self, event: Event) -> Iterator[Event]:
        """Report an event of the run. Returns what the user should see of the observers since the last time."""
        if not self._observers and not self._failed:
            return
        match event:
            case PretrainingStarted():
                self._statuses[event.work] = Counter()
                self._call("pretraining_started", self._pretraining(event))
            case EpochEnded():
                self._call("epoch_ended", event)
            case RecordMade(record=record):
                self._statuses[event.work][record.status] += 1
                self._call("record_written", event.work, record.to_json())
            case PretrainingEnded():
                self._call("pretraining_ended", event.work, self._statuses.pop(event.work))
        yield from self._news()

    def run_finished(self, statuses: Mapping[str, int], *, interrupted: bool = False) -> Iterator[Event]:
        """Wait until the observers have taken everything, but not for long; then there is none any more."""
        self._call("run_finished", dict(statuses))
        for observer in self._observers:
            observer.finish()
        patience = INTERRUPTED_PATIENCE if interrupted else PATIENCE
        end = time.monotonic() + patience
        try:
            for observer in self._observers:
                if not observer.ended.wait(max(0.0, end - time.monotonic())):
                    observer.end(f"it was not done {patience:g} s after the run")
                    observer.ended.wait(INTERRUPTED_PATIENCE)
        finally:
            self.end()
        yield from self._news()
        for observer in self._failed:
            if observer.done < self._calls:
                yield Warned(f"observer {observer.name!r} took {observer.done} of {self._calls} events")

    def end(self) -> None:
        """End those that are still there."""
        for observer in self._observers:
            if not observer.ended.is_set():
                observer.kill()

    def _pretraining(self, event: PretrainingStarted) -> ObservedPretraining:
        shared = self._groups[event.work].pretraining
        return ObservedPretraining(
            key=shared.key,
            run=digest([self._out, shared.key, shared.curve_settings]),
            name=event.name,
            plugins={kind: choice.plain for kind, choice in shared.choices.items()},
            seed=shared.seed,
            mask_ratio=shared.mask_ratio,
            settings=shared.training.model_dump(mode="json"),
            evaluators=self._evaluators[shared.key],
            fresh=self._fresh,
        )

    def _call(self, call: str, *arguments: object) -> None:
        self._calls += 1
        if self._observers:
            line = to_line(call, *arguments)
            for observer in self._observers:
                observer.send(line)

    def _news(self) -> Iterator[Event]:
        """What observers printed, and which of them failed, each once."""
        for observer in list(self._observers):
            failure = observer.failure
            while observer.printed:
                yield Printed(observer.printed.popleft())
            if failure:
                self._observers.remove(observer)
                self._failed.append(observer)
                observer.finish()
                yield Warned(f"observer {observer.name!r} is switched off: {failure}")


@contextmanager
def observed(observers: Observers) -> Iterator[Reports]:
    """The observers' processes while this is open. Raises UserError, one line for each that cannot be built."""
    processes = [ObserverProcess(choice) for choice in observers]
    reports = Reports(processes)
    mistakes: list[str] = []
    try:
        for process in processes:
            try:
                process.check_built()
            except UserError as error:
                mistakes += error.messages
        if mistakes:
            raise UserError(*mistakes)
        yield reports
    finally:
        reports.end()


def evaluators_in_words(cells: Sequence[Cell]) -> dict[str, dict[str, str]]:
    """Pretraining -> cell -> name of its evaluator, such as ``knn``; with the parameters by which it differs from
    others of that pretraining, such as ``knn k=5``."""
    same: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        same.setdefault((cell.pretraining.key, cell.evaluator.name), []).append(cell)
    words: dict[str, dict[str, str]] = {}
    for (pretraining, name), alike in same.items():
        keys = [key for key in alike[0].evaluator.values if len({str(c.evaluator.values[key]) for c in alike}) > 1]
        for cell in alike:
            pairs = ",".join(f"{key}={cell.evaluator.values[key]}" for key in keys)
            words.setdefault(pretraining, {})[cell.key] = f"{name} {pairs}".strip()
    return words


def results_folder(out: Path) -> str:
    """The folder as observers know it: absolute, without links, so that one folder has one name."""
    return os.path.realpath(out)
