"""One run: submits what is to run, stores every record as it comes, and reports. It is the store's only writer."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from sslbench.contracts.executor import Event, Executor
from sslbench.contracts.observer import ObservedRun
from sslbench.errors import StoreError
from sslbench.execute.command import command_of
from sslbench.execute.dispatch import Dispatch, Job
from sslbench.execute.events import PretrainingStarted, RecordMade, StepsTimed, Warned
from sslbench.execute.observers import Reports, results_folder
from sslbench.execute.request import Outcome, Request
from sslbench.execute.unmade import lost_record, skipped_record
from sslbench.execute.work import count, limited, work_of
from sslbench.plan.cell import Cell, digest
from sslbench.plan.plan import Group, Plan, make_plan
from sslbench.store.current import Asked, Asker, Unfinished
from sslbench.store.json_parts import DamagedRecord
from sslbench.store.memory import MemoryStore
from sslbench.store.record import Record, Status
from sslbench.store.results import ResultsStore

OnEvent = Callable[[Event], None]


class Session:
    """One run of a suite into one results folder."""

    def __init__(self, request: Request, outcome: Outcome, on_event: OnEvent, reports: Reports | None = None) -> None:
        """``outcome`` says which suite and where; it is filled in. ``reports``: to the observers, if there are any."""
        self.request, self.outcome = request, outcome
        self.on_event, self.reports = on_event, reports or Reports()
        self._unwritable: StoreError | None = None
        """why the folder cannot be written; what it holds is used all the same"""
        self._made: dict[str, Record] = {}
        """records of this run by cell"""

    def run(self, cells: Sequence[Cell], executor: Executor) -> Outcome:
        """Run what is not done yet. Raises StoreLocked; any other trouble with the store is in the outcome."""
        with ExitStack() as stack:
            self._open_store(stack)
            fresh, keep_stale = self.request.fresh, self.request.keep_stale
            plan = make_plan(self.outcome.suite, cells, self._store, fresh=fresh, keep_stale=keep_stale)
            groups = limited(plan.groups, self.request.max_cells)
            if groups and self._unwritable:
                self._warn_not_stored(self._unwritable)
            self._warn_damaged(plan)
            self._ask(plan)
            self._cells = {cell.key: cell for cell in cells}
            self._report_start(groups, cells, sum(item.state == "done" for item in plan.planned))
            try:
                self._submit_all(groups, executor)
            except KeyboardInterrupt:
                self.outcome.interrupted = True
            self.outcome.records = self._collect(plan)
            self.outcome.unfinished = self._unfinished(plan)
            self._report_end()
        return self.outcome

    def _report_start(self, groups: Sequence[Group], cells: Sequence[Cell], done: int) -> None:
        outcome, request = self.outcome, self.request
        training = cells[0].pretraining.training.model_dump(mode="json") if cells else {}
        out, command = results_folder(outcome.out), command_of(request)
        run = ObservedRun(outcome.suite, out, command, len(groups), count(groups), training)
        for news in self.reports.run_started(run, groups, cells, request.fresh, done):
            self.on_event(news)

    def _report_end(self) -> None:
        outcome = self.outcome
        for news in self.reports.run_finished(outcome.statuses, interrupted=outcome.interrupted):
            self.on_event(news)

    def _open_store(self, stack: ExitStack) -> None:
        self._store: ResultsStore | MemoryStore
        try:
            self._store = stack.enter_context(ResultsStore.open_for_writing(self.outcome.out))
            self._artifacts = self.outcome.out
        except StoreError as error:
            self._unwritable = error
            self._store = MemoryStore.copy_of(self.outcome.out)
            self._artifacts = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sslbench-")))

    def _warn_damaged(self, plan: Plan) -> None:
        """Name the records that cannot be read, whose cells are to run."""
        for group in plan.groups:
            for cell in group.cells:
                try:
                    self._store.record(cell.key)
                except DamagedRecord as error:
                    self.on_event(Warned(f"{error}; its cell is to run again"))

    def _ask(self, plan: Plan) -> None:
        """Make what the plan goes by the current records, and say so where another file asks under the suite's name."""
        suite, source = self.outcome.suite, self.outcome.source
        cells = [item for item in plan.planned if item.state != "skipped"]
        asked = [Asked(item.cell.description, item.cell.pretraining.content, item.record) for item in cells]
        try:
            others = [other for other in self._store.sources().get(suite, ()) if other != source]
            self._store.ask(asked, Asker(suite, source, working_folder(), command_of(self.request)))
        except StoreError as error:
            return self._warn_not_stored(error)
        if others and self.request.out is None:
            what = f"{self.outcome.out} has results of another suite {suite!r} as well: {', '.join(others)}"
            self.on_event(Warned(f"{what}; --out DIR keeps those of {source} apart"))
        return None

    def _jobs(self, groups: Sequence[Group]) -> Iterator[Job]:
        """What is to run, made when a slot is free for it."""
        request, cells = self.request, count(groups)
        for number, group in enumerate(groups):
            names = " ".join(choice.name for choice in group.pretraining.choices.values())
            name = f"{names} seed {group.pretraining.seed}"
            work = work_of(group, self._artifacts, request.download, request.trust, fresh=request.fresh)
            yield Job(work, PretrainingStarted(name, number, len(groups), cells))

    def _submit_all(self, groups: Sequence[Group], executor: Executor) -> None:
        """Run everything, or leave it to a cluster that goes on alone."""
        dispatch = Dispatch(executor, self.request.retries, self._receive, self._lost)
        if self.request.detach:
            self.outcome.detached = dispatch.detach(self._jobs(groups))
        else:
            dispatch.run(self._jobs(groups))

    def _lost(self, cell: str, status: Status, reason: str, traceback: str) -> Record:
        return lost_record(self._cells[cell], status, reason, traceback)

    def _receive(self, event: Event) -> None:
        """Store what an event brings, then pass it on; whoever made it or gets it can change nothing here."""
        event = deepcopy(event)
        if isinstance(event, RecordMade):
            event = replace(event, record=self._store_record(event.record))
        elif isinstance(event, StepsTimed):
            try:
                self._store.put_steps(event.pretraining, event.step_ms)
            except StoreError as error:
                self._warn_not_stored(error)
        self.on_event(deepcopy(event))
        for news in self.reports.see(event):
            self.on_event(news)

    def _store_record(self, record: Record) -> Record:
        """The record as it is stored."""
        cell = self._cells[record.cell]
        record = replace(record, inputs=cell.inputs)
        self.outcome.trained += 1
        self._made[cell.key] = record
        try:
            self._store.put(record, suite=self.outcome.suite, description=cell.description, inputs=cell.inputs)
        except StoreError as error:
            self._warn_not_stored(error)
        return record

    def _warn_not_stored(self, error: StoreError) -> None:
        if self.outcome.store_error is None:
            self.on_event(Warned(f"{error}; results will only be printed"))
        self.outcome.store_error = self.outcome.store_error or str(error)

    def _collect(self, plan: Plan) -> list[Record]:
        """The record of every cell: of this run, of the store, or that it is skipped."""
        records = []
        for item in plan.planned:
            if item.state == "skipped":
                records.append(skipped_record(item.cell, item.reason))
                continue
            record = self._made.get(item.cell.key)
            with suppress(DamagedRecord):  # which was named before, and its cell is to run
                record = record or self._store.record(item.record)
            if record is not None:
                records.append(record)
        return records

    def _unfinished(self, plan: Plan) -> list[Unfinished]:
        """What is left of this run, if anything."""
        cells = sum(item.state != "skipped" for item in plan.planned)
        missing = cells - sum(record.status != "skipped" for record in self.outcome.records)
        return [Unfinished(self.outcome.suite, command_of(self.request), cells, missing)] if missing else []


def working_folder() -> str:
    """A hash of it; empty where it was removed."""
    try:
        return digest(os.getcwd())
    except OSError:
        return ""
