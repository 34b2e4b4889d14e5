"""One run: submits what is to run, stores every record as it comes, and reports. It is the store's only writer."""

from __future__ import annotations

import queue
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from sslbench.contracts.executor import Event, Executor
from sslbench.errors import StoreError
from sslbench.execute.events import PretrainingStarted, RecordMade, StepsTimed, Warned
from sslbench.execute.request import Outcome, Request
from sslbench.execute.work import limited, skipped_record, work_of
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Cell
from sslbench.plan.plan import Group, Plan, make_plan
from sslbench.store.json_parts import DamagedRecord
from sslbench.store.record import Record
from sslbench.store.results import MemoryStore, ResultsStore

OnEvent = Callable[[Event], None]


class Session:
    """One run of a suite into one results folder."""

    def __init__(self, request: Request, outcome: Outcome, on_event: OnEvent, registry: Registry) -> None:
        """``outcome`` says which suite and where; it is filled in."""
        self.request, self.outcome = request, outcome
        self.on_event, self.registry = on_event, registry
        self._made: dict[str, Record] = {}
        """records of this run by cell"""

    def run(self, cells: Sequence[Cell], executor: Executor) -> Outcome:
        """Run what is not done yet. Raises StoreLocked; any other trouble with the store is in the outcome."""
        with ExitStack() as stack:
            self._open_store(stack)
            plan = make_plan(
                self.outcome.suite, cells, self._store, fresh=self.request.fresh, keep_stale=self.request.keep_stale
            )
            groups = limited(plan.groups, self.request.max_cells)
            self._warn_damaged(plan)
            self._cells = {cell.key: cell for cell in cells}
            self._notify_start(groups)
            try:
                self._submit_all(groups, executor)
            except KeyboardInterrupt:
                self.outcome.interrupted = True
            self.outcome.records = self._collect(plan)
            statuses = dict(self.outcome.statuses)
            self.registry.notify("sslbench_run_finished", suite=self.outcome.suite, statuses=statuses)
        return self.outcome

    def _open_store(self, stack: ExitStack) -> None:
        self._store: ResultsStore | MemoryStore
        try:
            self._store = stack.enter_context(ResultsStore.open_for_writing(self.outcome.out))
            self._artifacts = self.outcome.out
        except StoreError as error:
            self._store = MemoryStore()
            self._artifacts = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sslbench-")))
            self._warn_not_stored(error)

    def _warn_damaged(self, plan: Plan) -> None:
        """Name the records that cannot be read, whose cells are to run."""
        for group in plan.groups:
            for cell in group.cells:
                try:
                    self._store.record(cell.key)
                except DamagedRecord as error:
                    self.on_event(Warned(f"{error}; its cell is to run again"))

    def _notify_start(self, groups: Sequence[Group]) -> None:
        self.registry.load_observers()
        self.registry.notify(
            "sslbench_run_started", suite=self.outcome.suite, cells=count(groups), out=str(self.outcome.out)
        )

    def _submit_all(self, groups: Sequence[Group], executor: Executor) -> None:
        """Keep the executor's slots full; only this thread passes events on to the store."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        emit: Callable[[Event], None] = self._receive if executor.slots == 1 else events.put
        handles = []
        for number, group in enumerate(groups):
            self.on_event(started(group, number, groups))
            work = work_of(group, self._artifacts, download=self.request.download, fresh=self.request.fresh)
            handles.append(executor.submit(work, emit))
            while len(handles) >= executor.slots:
                handles.pop(0).wait()
                self._drain(events)
        for handle in handles:
            handle.wait()
            self._drain(events)

    def _drain(self, events: queue.SimpleQueue[Event]) -> None:
        while not events.empty():
            self._receive(events.get())

    def _receive(self, event: Event) -> None:
        """Store what an event brings, then pass it on."""
        if isinstance(event, RecordMade):
            self._keep(event.record)
        elif isinstance(event, StepsTimed):
            try:
                self._store.put_steps(event.pretraining, event.step_ms)
            except StoreError as error:
                self._warn_not_stored(error)
        self.on_event(event)

    def _keep(self, record: Record) -> None:
        cell = self._cells[record.cell]
        self.outcome.trained += 1
        self._made[cell.key] = record
        try:
            self._store.put(record, suite=self.outcome.suite, description=cell.description, inputs=cell.inputs)
        except StoreError as error:
            self._warn_not_stored(error)
        self.registry.notify("sslbench_record_written", record=record.to_json())

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
            if record is None and item.record is not None:
                record = self._store.record(item.record)
            if record is not None:
                records.append(record)
        return records


def count(groups: Sequence[Group]) -> int:
    """Cells of all groups."""
    return sum(len(group.cells) for group in groups)


def started(group: Group, number: int, groups: Sequence[Group]) -> PretrainingStarted:
    """The event that the pretraining of a group begins."""
    pretraining = group.pretraining
    names = " ".join(choice.name for choice in pretraining.choices.values())
    return PretrainingStarted(f"{names} seed {pretraining.seed}", number, len(groups), count(groups))
