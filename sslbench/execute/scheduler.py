"""Runs a suite: plan, submit what is to run, store what comes back. One writer."""

from __future__ import annotations

import queue
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sslbench.contracts.executor import Event, Executor, Work
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import PluginError, StoreError, UserError
from sslbench.execute.events import PretrainingStarted, RecordMade, StepsTimed, Warned
from sslbench.execute.request import Outcome, Request
from sslbench.execute.work import limited, skipped_record, work_of
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.cell import Cell
from sslbench.plan.expand import Overrides, expand, resolve_suite
from sslbench.plan.plan import Group, Plan, make_plan
from sslbench.plan.reference import parse_reference
from sslbench.plan.suite import RawSuite, read_suite
from sslbench.store.record import Record
from sslbench.store.results import MemoryStore, ResultsStore

OnEvent = Callable[[Event], None]


def prepare(request: Request, registry: Registry) -> tuple[str, list[Cell]]:
    """The suite's name and all its cells. Raises before anything is run if anything about the request is wrong."""
    from sslbench.measure.machine import resolve_device, resolve_precision

    raw = request.suite if isinstance(request.suite, RawSuite) else read_suite(request.suite, request.size)
    settings = dict(raw.data.get("training") or {}) if isinstance(raw.data.get("training"), Mapping) else {}
    settings |= request.overrides.training
    device, precision = settings.get("device", "auto"), settings.get("precision", "auto")
    concrete: dict[str, Any] = {}
    if isinstance(device, str) and precision in ("auto", "fp32", "bf16", "fp16"):
        concrete["device"] = resolve_device(device)
        concrete["precision"] = resolve_precision(precision, concrete["device"])
    overrides = Overrides(request.overrides.axes, request.overrides.seeds, {**request.overrides.training, **concrete})
    if request.strict_plugins:
        refuse_broken(registry)
    suite = resolve_suite(RawSuite(raw.name, raw.source, raw.data), overrides, registry)
    return suite.name, expand(suite)


def refuse_broken(registry: Registry) -> None:
    """Raise PluginError if any plugin at all is broken."""
    broken = [
        f"plugin {one.entry.name} of {one.entry.distribution} is broken: {one.failure} (--strict-plugins)"
        for one in registry.load_all()
        if one.failure
    ]
    if broken:
        raise PluginError(*broken)


def results_folder(request: Request, suite: str) -> Path:
    return request.out or Path("sslbench-results") / suite


def plan_only(request: Request, registry: Registry | None = None) -> Plan:
    """What a run would do. Reads the store if there is one, writes nothing."""
    registry = registry or default_registry()
    suite, cells = prepare(request, registry)
    out = results_folder(request, suite)
    if not ResultsStore.exists(out):
        return make_plan(suite, cells, None, fresh=request.fresh)
    with ResultsStore.open_for_reading(out) as store:
        return make_plan(suite, cells, store, fresh=request.fresh, keep_stale=request.keep_stale)


def run(request: Request | None = None, on_event: OnEvent | None = None, registry: Registry | None = None) -> Outcome:
    """Run a suite and answer its records.

    Raises UserError, PluginError or StoreLocked before the first cell; from then on, what goes wrong is in the
    records. An interrupt ends the run and keeps what is finished.
    """
    request = request or Request()
    registry = registry or default_registry()
    suite, cells = prepare(request, registry)
    executor = build_executor(request.executor, registry)
    with ExitStack() as stack:
        session = Session(
            request, suite, results_folder(request, suite), on_event or (lambda event: None), registry, stack
        )
        return session.run(cells, executor)


def build_executor(reference: str, registry: Registry) -> Executor:
    chosen = parse_reference(reference, "--executor")
    spec = registry.get("executor", chosen.name)
    params, mistakes = resolve(spec.label, spec.params, chosen.given, spec.presets)
    if params is None:
        raise UserError(*(f"--executor: {line}" for line in mistakes))
    executor: Executor = spec.build(params, BuildContext())
    return executor


class Session:
    """One run: it owns the store."""

    def __init__(
        self, request: Request, suite: str, out: Path, on_event: OnEvent, registry: Registry, stack: ExitStack
    ) -> None:
        self.request, self.suite, self.registry = request, suite, registry
        self.on_event = on_event
        self.outcome = Outcome(suite, out)
        self.fresh_records: dict[str, Record] = {}
        self.store: ResultsStore | MemoryStore
        try:
            self.store = stack.enter_context(ResultsStore.open_for_writing(out))
            self.artifacts = out
        except StoreError as error:
            self.store = MemoryStore()
            self.artifacts = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sslbench-")))
            self._not_stored(error)

    def run(self, cells: Sequence[Cell], executor: Executor) -> Outcome:
        plan = make_plan(self.suite, cells, self.store, fresh=self.request.fresh, keep_stale=self.request.keep_stale)
        groups = limited(plan.groups, self.request.max_cells)
        total = sum(len(group.cells) for group in groups)
        self.by_key = {cell.key: cell for cell in cells}
        self.registry.load_observers()
        self.registry.notify("sslbench_run_started", suite=self.suite, cells=total, out=str(self.outcome.out))
        try:
            self._submit_all(groups, executor, total)
        except KeyboardInterrupt:
            self.outcome.interrupted = True
        self.outcome.records = self._collect(plan)
        statuses = dict(self.outcome.statuses)
        self.registry.notify("sslbench_run_finished", suite=self.suite, statuses=statuses)
        return self.outcome

    def _submit_all(self, groups: Sequence[Group], executor: Executor, total: int) -> None:
        """Keep the executor's slots full; events reach the store from this thread alone."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        inline = executor.slots == 1
        emit: Callable[[Event], None] = self._receive if inline else events.put
        handles = []
        for place, group in enumerate(groups):
            self._announce(group, place, len(groups), total)
            handles.append(executor.submit(self._work(group), emit))
            while len(handles) >= executor.slots:
                handles.pop(0).wait()
                self._drain(events)
        for handle in handles:
            handle.wait()
            self._drain(events)

    def _work(self, group: Group) -> Work:
        return work_of(group, self.artifacts, download=self.request.download, fresh=self.request.fresh)

    def _drain(self, events: queue.SimpleQueue[Event]) -> None:
        while not events.empty():
            self._receive(events.get())

    def _announce(self, group: Group, place: int, groups: int, total: int) -> None:
        shared = group.pretraining
        names = " ".join(choice.name for choice in shared.choices.values())
        self.on_event(PretrainingStarted(f"{names} seed {shared.seed}", place, groups, total))

    def _receive(self, event: Event) -> None:
        """Store what is to be stored, then pass it on."""
        if isinstance(event, RecordMade):
            self._keep(event.record)
        elif isinstance(event, StepsTimed):
            try:
                self.store.put_steps(event.pretraining, event.step_ms)
            except StoreError as error:
                self._not_stored(error)
        self.on_event(event)

    def _keep(self, record: Record) -> None:
        cell = self.by_key[record.cell]
        self.outcome.trained += 1
        self.fresh_records[cell.key] = record
        try:
            self.store.put(record, suite=self.suite, description=cell.description, inputs=cell.inputs)
        except StoreError as error:
            self._not_stored(error)
        self.registry.notify("sslbench_record_written", record=record.to_json())

    def _not_stored(self, error: StoreError) -> None:
        if self.outcome.store_error is None:
            self.on_event(Warned(f"{error}; results will only be printed"))
        self.outcome.store_error = self.outcome.store_error or str(error)

    def _collect(self, plan: Plan) -> list[Record]:
        """The record of every cell: just made, or found in the store, or skipped."""
        records = []
        for item in plan.planned:
            if item.state == "skipped":
                records.append(skipped_record(item.cell, item.reason))
                continue
            record = self.fresh_records.get(item.cell.key)
            if record is None and item.record is not None:
                record = self.store.record(item.record)
            if record is not None:
                records.append(record)
        return records
