"""Runs a speed suite: plan, measure group by group, store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sslbench.contracts.executor import Emit
from sslbench.errors import SslbenchError, StoreError, UserError
from sslbench.execute.events import PretrainingEnded, PretrainingStarted, RecordMade, StageStarted, Warned
from sslbench.execute.outcome import reason_of
from sslbench.hooks.registry import Registry, default_registry
from sslbench.measure.ceilings import Ceilings, ceilings
from sslbench.measure.machine import (
    check_where_it_runs,
    float32_fact,
    resolve_device,
    resolve_precision,
    torch_facts,
)
from sslbench.plan.cell import digest
from sslbench.plan.suite import RawSuite
from sslbench.speed import SUITE
from sslbench.speed.bench import SpeedBench
from sslbench.speed.budget import Budget
from sslbench.speed.measurement import Measurement
from sslbench.speed.plan import SpeedPlan, plan_speed
from sslbench.speed.preparation import BenchSettings
from sslbench.speed.record import RecordWriter
from sslbench.speed.rows import ALLOWED
from sslbench.speed.suite import COMPILING, Baseline, SpeedFile, read_speed_layout
from sslbench.store.current import Asked, Asker
from sslbench.store.json_parts import DamagedRecord
from sslbench.store.memory import MemoryStore
from sslbench.store.provenance import machine_facts, provenance
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore

OUT = Path("sslbench-results")


@dataclass(frozen=True)
class SpeedRequest:
    """What the user asked to be measured."""

    suite: str = SUITE
    """a name or path"""
    axes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """axis -> references; replaces that axis of the suite"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """replaces settings of ``[speed]``"""
    baselines: Sequence[Mapping[str, Any]] = ()
    """changes that make a baseline; replaces the suite's"""
    out: Path | None = None
    """results folder; default: ``sslbench-results/SUITE``"""
    find_batch: bool = False
    download: bool = False
    command: str | None = None
    """that asks for the same, in words of a shell"""


@dataclass
class SpeedOutcome:
    """What a speed suite left."""

    suite: str
    out: Path
    records: list[Record] = field(default_factory=list)
    """of every row in the suite's order, those that were left out included"""
    left_out: tuple[str, ...] = ()
    """what the suite leaves out on this device, in its own words"""
    store_error: str | None = None
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """Of the command."""
        if self.interrupted:
            return 130
        if self.store_error:
            return StoreError.exit_code
        return 0 if {record.status for record in self.records} <= {"done", "skipped"} else 1


def speed(request: SpeedRequest, on_event: Emit | None = None, registry: Registry | None = None) -> SpeedOutcome:
    """Measure a suite. Raises UserError, PluginError or StoreLocked before the first row; from then on, what goes wrong
    is in the records. An interrupt ends it and keeps what is finished."""
    raw, layout, plan = prepare(request, registry)
    name = layout.name or raw.name
    outcome = SpeedOutcome(name, request.out or OUT / name, left_out=plan.left_out)
    with ExitStack() as stack:
        SpeedSession(request, layout, plan, outcome, on_event or (lambda event: None), stack).run()
    return outcome


def prepare(request: SpeedRequest, registry: Registry | None = None) -> tuple[RawSuite, SpeedFile, SpeedPlan]:
    """The suite with device and precisions resolved, and its plan. Raises UserError with one line for each thing that
    is wrong, or that cannot be on this machine."""
    raw, layout, mistakes = read_speed_layout(request.suite, request.settings)
    baselines = [
        Baseline(name=", ".join(f"{key}={value}" for key, value in change.items()), change=dict(change))
        for change in request.baselines
    ] or layout.baselines
    device, precisions = "cpu", list[str]()
    try:
        device = resolve_device(layout.speed.device)
        precisions = list(dict.fromkeys(resolve_precision(name, device) for name in layout.speed.precisions))
        asked = [*precisions, *(baseline.change.get("precision") for baseline in baselines)]
        for name in ALLOWED["precision"]:
            if name in asked:
                check_where_it_runs(device, resolve_precision(name, device))
    except UserError as error:
        mistakes += error.messages
    graphs = [name for name in layout.speed.compile if COMPILING[name].cuda_graphs]
    if graphs and not device.startswith("cuda"):
        mistakes.append(f"--compile {graphs[0]} needs a GPU; allowed on a CPU: eager, compile")
    if graphs and "fp16" in precisions:
        mistakes.append(f"--compile {graphs[0]} with --precision fp16: allowed are the other precisions")
    settings = layout.speed.model_copy(update={"device": device, "precisions": precisions})
    layout = layout.model_copy(update={"speed": settings, "baselines": baselines})
    return raw, layout, plan_speed(raw, layout, request.axes, registry or default_registry(), mistakes)


class SpeedSession:
    """One measurement of a suite: it owns the store."""

    def __init__(
        self,
        request: SpeedRequest,
        layout: SpeedFile,
        plan: SpeedPlan,
        outcome: SpeedOutcome,
        on_event: Emit,
        stack: ExitStack,
    ) -> None:
        self.plan, self.outcome, self.on_event = plan, outcome, on_event
        self.command = request.command
        self.store: ResultsStore | MemoryStore = MemoryStore()
        try:
            self.store = stack.enter_context(ResultsStore.open_for_writing(outcome.out))
        except StoreError as error:
            self._not_stored(error)
        settings, device = layout.speed, torch.device(layout.speed.device)
        limits = self._ceilings(settings.device)
        self.facts = torch_facts(settings.device)  # a GPU with a fault could not be asked any more
        bench = BenchSettings(device, settings.warmup, settings.steps, request.find_batch, request.download)
        self.bench = SpeedBench(bench, Budget(plan.seconds, settings.warmup, limits.flops), self._report)
        self.writer = RecordWriter(plan, layout, limits)

    def run(self) -> None:
        """Measure every row; the records are in the outcome, those of rows that cannot be timed included."""
        rows = {index: Measurement(row) for index, row in enumerate(self.plan.rows)}
        for measured in rows.values():
            if measured.row.skip:
                measured.skip(measured.row.skip)
        groups = [group for group in self.plan.groups if rows[group[0]].status == "done"]
        self.bench.budget.waiting = [rows[index].row for group in groups for index in group]
        kept: set[int] = set()
        group: list[int] = []
        try:
            for number, group in enumerate(groups):
                name = rows[group[0]].row.name
                self.on_event(PretrainingStarted(name, number, len(groups), len(self.plan.rows)))
                pairs = [(pair.baseline, pair.row) for pair in self.plan.pairs if pair.row in group]
                self._measure({index: rows[index] for index in group}, pairs)
                kept.update(group)
                for index in group:
                    self._keep(index, rows)
                self.on_event(PretrainingEnded(number))
        except KeyboardInterrupt:
            self.outcome.interrupted = True
        for index, measured in rows.items():
            ended = measured.status != "done" or measured.timing is not None
            if index not in kept and (measured.status == "skipped" or (index in group and ended)):
                self._keep(index, rows)
        order = {measured.row.key: index for index, measured in rows.items()}
        self.outcome.records.sort(key=lambda record: order[record.cell])

    def _measure(self, group: dict[int, Measurement], pairs: list[tuple[int, int]]) -> None:
        """Measure a group of rows; what nothing else has caught costs those of them that are not measured yet."""
        try:
            self.bench.measure(group, pairs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            for measured in group.values():
                if measured.status == "done":
                    measured.fail(error)

    def _ceilings(self, device: str) -> Ceilings:
        """What the device can do at most; nothing is known of it where that cannot be measured."""
        try:
            return ceilings(device, machine_facts()["processor"], self._report)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.on_event(Warned(f"use % is left out; what {device} can do could not be measured: {reason_of(error)}"))
            return Ceilings(device, None, torch.__version__, {}, None, "", contended=False)

    def _keep(self, index: int, rows: dict[int, Measurement]) -> None:
        """Make the record of a row, report it and store it with its samples."""
        measured, row = rows[index], rows[index].row
        distributions = {choice.distribution: choice.version for choice in row.choices.values()}
        facts = {**self.facts, **float32_fact(row.precision)}
        record = self.writer.record(index, rows, provenance(facts, distributions))
        self.outcome.records.append(record)
        self.on_event(RecordMade(record))
        try:
            if measured.status == "skipped" and self._measured_before(row.key):
                return
            suite, description = self.outcome.suite, digest(row.description)
            self.store.put(record, suite=suite, description=description, inputs=row.inputs)
            self.store.ask([Asked(description, "", row.key)], Asker(suite, suite, command=self.command))
            if measured.timing is not None:
                self.store.put_steps(row.key, measured.timing.step_ms)
            if measured.end_to_end is not None:
                self.store.put_steps(f"{row.key}/end-to-end", measured.end_to_end.step_ms)
        except StoreError as error:
            self._not_stored(error)

    def _measured_before(self, key: str) -> bool:
        """Whether there is more of a row than that it was left out, which then stays."""
        try:
            record = self.store.record(key)
        except DamagedRecord:
            return False
        return record is not None and record.status != "skipped"

    def _report(self, text: str) -> None:
        self.on_event(StageStarted(text))

    def _not_stored(self, error: SslbenchError) -> None:
        if self.outcome.store_error is None:
            self.on_event(Warned(f"{error}; results will only be printed"))
            self.outcome.store_error = str(error)
