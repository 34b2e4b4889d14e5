"""One run: submits what is to run, stores every record as it comes, and reports. It is the store's only writer."""

from __future__ import annotations

import os
import queue
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from sslbench.contracts.executor import Evaluation, Event, Executor, Work
from sslbench.errors import StoreError
from sslbench.execute.command import command_of
from sslbench.execute.events import PretrainingEnded, PretrainingStarted, RecordMade, StepsTimed, Warned
from sslbench.execute.request import Outcome, Request
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Cell, digest
from sslbench.plan.plan import Group, Plan, make_plan
from sslbench.store.current import Asked, Asker, Unfinished
from sslbench.store.json_parts import DamagedRecord
from sslbench.store.memory import MemoryStore
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore

OnEvent = Callable[[Event], None]


class Session:
    """One run of a suite into one results folder."""

    def __init__(self, request: Request, outcome: Outcome, on_event: OnEvent, registry: Registry) -> None:
        """``outcome`` says which suite and where; it is filled in."""
        self.request, self.outcome = request, outcome
        self.on_event, self.registry = on_event, registry
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
            self.registry.load_observers()
            suite, out = self.outcome.suite, str(self.outcome.out)
            self.registry.notify("sslbench_run_started", suite=suite, cells=count(groups), out=out)
            try:
                self._submit_all(groups, executor)
            except KeyboardInterrupt:
                self.outcome.interrupted = True
            self.outcome.records = self._collect(plan)
            self.outcome.unfinished = self._unfinished(plan)
            self.registry.notify("sslbench_run_finished", suite=suite, statuses=dict(self.outcome.statuses))
        return self.outcome

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

    def _submit_all(self, groups: Sequence[Group], executor: Executor) -> None:
        """Keep the executor's slots full; only this thread passes events on to the store."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        emit: Callable[[Event], None] = self._receive if executor.slots == 1 else events.put
        handles = []
        for number, group in enumerate(groups):
            names = " ".join(choice.name for choice in group.pretraining.choices.values())
            name = f"{names} seed {group.pretraining.seed}"
            self.on_event(PretrainingStarted(name, number, len(groups), count(groups)))
            request = self.request
            work = work_of(group, self._artifacts, request.download, request.trust, fresh=request.fresh)
            handles.append(executor.submit(deepcopy(work), emit))
            is_last = number == len(groups) - 1
            while handles and (is_last or len(handles) >= executor.slots):
                handles.pop(0).wait()
                while not events.empty():
                    self._receive(events.get())
                self.on_event(PretrainingEnded(number - len(handles)))

    def _receive(self, event: Event) -> None:
        """Store what an event brings, then pass it on; whoever made it or gets it can change nothing here."""
        event = deepcopy(event)
        if isinstance(event, RecordMade):
            self._store_record(event.record)
        elif isinstance(event, StepsTimed):
            try:
                self._store.put_steps(event.pretraining, event.step_ms)
            except StoreError as error:
                self._warn_not_stored(error)
        self.on_event(deepcopy(event))

    def _store_record(self, record: Record) -> None:
        cell = self._cells[record.cell]
        record = replace(record, inputs=cell.inputs)
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


def count(groups: Sequence[Group]) -> int:
    """Cells of all groups."""
    return sum(len(group.cells) for group in groups)


def work_of(group: Group, out: Path, download: bool = False, trust: bool = False, *, fresh: bool = False) -> Work:
    """A pretraining and its cells as an executor takes them; artifacts are kept below ``out``."""
    pretraining = group.pretraining
    choices = [*pretraining.choices.values(), *(cell.evaluator for cell in group.cells)]
    return Work(
        key=pretraining.key,
        plugins={kind: choice.plain for kind, choice in pretraining.choices.items()},
        seed=pretraining.seed,
        training=pretraining.training,
        mask_ratio=pretraining.mask_ratio,
        evaluations=tuple(Evaluation(cell.key, cell.evaluator.plain, cell.params) for cell in group.cells),
        out=str(out),
        distributions={choice.distribution: choice.version for choice in choices},
        download=download,
        trust=trust,
        fresh=fresh,
        curve=pretraining.curve_request,
        fingerprint=pretraining.fingerprint,
    )


def limited(groups: Sequence[Group], max_cells: int | None) -> list[Group]:
    """The first ``max_cells`` cells of the groups."""
    if max_cells is None:
        return list(groups)
    starts = accumulate((len(group.cells) for group in groups), initial=0)
    limits = [max(0, max_cells - start) for start in starts]
    return [Group(group.pretraining, group.cells[:most]) for group, most in zip(groups, limits, strict=False) if most]


def skipped_record(cell: Cell, reason: str) -> Record:
    """The record of plugins that do not work together; it is shown, not stored."""
    return Record(cell.key, "skipped", reason=reason, **cell.axes, params=cell.params)
