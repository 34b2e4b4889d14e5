"""Runs a speed suite: plan, measure group by group, judge, store, answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sslbench.contracts.executor import Event
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError, StoreError, UserError
from sslbench.hooks.registry import Registry, default_registry
from sslbench.measure.ceilings import Ceilings, ceilings
from sslbench.measure.comparison import LEAST_ROUNDS
from sslbench.measure.machine import resolve_device, resolve_precision, torch_facts
from sslbench.plan.cell import digest
from sslbench.speed.bench import Foreseen, Measured, SpeedBench
from sslbench.speed.record import record_of
from sslbench.speed.rows import SpeedPlan, SpeedRow, plan_speed
from sslbench.speed.suite import Baseline, SpeedFile, read_speed_suite
from sslbench.store.provenance import machine_facts, provenance
from sslbench.store.results import MemoryStore, ResultsStore

Listen = Callable[[Event], None]
OUT = Path("sslbench-results")
HALF = 0.5
"""of the ceiling: how fast a row is taken to be before any was measured"""
WARMING = 0.03
"""of a suite's time: how long one row may warm up beyond its first ten steps"""


@dataclass(frozen=True)
class SpeedRequest:
    """What the user asked to be measured."""

    suite: str = "mae-speedup"
    axes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """axis -> references; replaces that axis of the suite"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """replaces settings of ``[speed]``"""
    baselines: Sequence[Mapping[str, Any]] = ()
    """changes that make a baseline; replaces the suite's"""
    out: Path | None = None
    find_batch: bool = False
    download: bool = False


@dataclass
class SpeedOutcome:
    """What a speed suite left."""

    suite: str
    out: Path
    records: list[dict[str, Any]] = field(default_factory=list)
    left_out: tuple[str, ...] = ()
    """what the suite leaves out on this device, in its own words"""
    store_error: str | None = None
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        if self.store_error:
            return StoreError.exit_code
        return 0 if {record["status"] for record in self.records} <= {"done", "skipped"} else 1


def speed(request: SpeedRequest, listen: Listen | None = None, registry: Registry | None = None) -> SpeedOutcome:
    """Measure a suite and answer its records.

    Raises UserError, PluginError or StoreLocked before the first row; from then on, what goes wrong is in the
    records. An interrupt ends it and keeps what is finished.
    """
    registry = registry or default_registry()
    raw, layout = prepare(request)
    plan = plan_speed(raw, layout, request.axes, registry)
    name = layout.name or raw.name
    with ExitStack() as stack:
        session = SpeedSession(request, name, layout, plan, listen or (lambda event: None), stack)
        return session.run()


def prepare(request: SpeedRequest) -> tuple[Any, SpeedFile]:
    """The suite with device and precisions resolved. Raises UserError for what cannot be on this machine."""
    raw, layout = read_speed_suite(request.suite, request.settings)
    device = resolve_device(layout.speed.device)
    precisions = list(dict.fromkeys(resolve_precision(one, device) for one in layout.speed.precisions))
    if "cuda-graphs" in layout.speed.compile and not device.startswith("cuda"):
        raise UserError("--compile cuda-graphs needs a GPU; allowed on a CPU: eager, compile")
    changes: dict[str, Any] = {
        "speed": layout.speed.model_copy(update={"device": device, "precisions": precisions}),
    }
    if request.baselines:
        changes["baselines"] = [
            Baseline(name=", ".join(f"{k}={v}" for k, v in change.items()), change=dict(change))
            for change in request.baselines
        ]
    return raw, layout.model_copy(update=changes)


class SpeedSession:
    """One measurement of a suite: it owns the store and the time that is left."""

    def __init__(
        self,
        request: SpeedRequest,
        name: str,
        layout: SpeedFile,
        plan: SpeedPlan,
        listen: Listen,
        stack: ExitStack,
    ) -> None:
        self.request, self.layout, self.plan, self.listen = request, layout, plan, listen
        self.outcome = SpeedOutcome(name, request.out or OUT / name, left_out=plan.left_out)
        self.store: ResultsStore | MemoryStore
        try:
            self.store = stack.enter_context(ResultsStore.open_for_writing(self.outcome.out))
        except StoreError as error:
            self.store = MemoryStore()
            self._not_stored(error)
        settings = layout.speed
        self.device = torch.device(settings.device)
        self.ceilings: Ceilings = ceilings(settings.device, machine_facts()["processor"], self.say)
        self.began = time.monotonic()
        self.bench = SpeedBench(
            self.device,
            settings.warmup,
            settings.steps,
            self.say,
            self.afford,
            self.seconds_for,
            self.dataset,
            None if plan.seconds is None else WARMING * plan.seconds,
            request.download,
        )
        self.waiting: list[SpeedRow] = []
        self.datasets: dict[str, Any] = {}

    def say(self, text: str) -> None:
        self.listen(Event("stage", {"text": text}))

    def run(self) -> SpeedOutcome:
        found = {place: Measured(row) for place, row in enumerate(self.plan.rows)}
        for one in found.values():
            if one.row.skip:
                one.status, one.reason = "skipped", one.row.skip
        groups = [group for group in grouped(self.plan) if found[group[0]].status == "done"]
        self.waiting = [found[place].row for group in groups for place in group]
        told: list[int] = []
        try:
            for number, group in enumerate(groups):
                self._announce(found[group[0]].row, number, len(groups))
                pairs = [(pair.baseline, pair.row) for pair in self.plan.pairs if pair.row in group]
                self.bench.measure({place: found[place] for place in group}, pairs, self.request.find_batch)
                told += group
                for place in group:
                    self._keep(found[place], found)
        except KeyboardInterrupt:
            self.outcome.interrupted = True
        for place, one in found.items():
            if one.status == "skipped" and place not in told:
                self._keep(one, found)
        order = {one.row.key: place for place, one in found.items()}
        self.outcome.records.sort(key=lambda record: order[record["cell"]])
        return self.outcome

    def _announce(self, row: SpeedRow, number: int, groups: int) -> None:
        name = " ".join(choice.name for choice in row.choices.values())
        facts = {"text": "", "name": name, "place": number, "groups": groups, "cells": len(self.plan.rows)}
        self.listen(Event("stage", facts))

    def dataset(self, row: SpeedRow) -> Any:
        """The row's data set, read once."""
        assert row.dataset is not None
        key = digest(row.dataset.description)
        if key not in self.datasets:
            self.datasets[key] = row.dataset.spec.build(
                row.dataset.params, BuildContext(download=self.request.download)
            )
        return self.datasets[key]

    # What time there is.

    @property
    def left(self) -> float | None:
        """Seconds of the suite's budget, or None without one."""
        budget = self.plan.seconds
        return None if budget is None else budget - (time.monotonic() - self.began)

    def step_seconds(self, row: SpeedRow, foreseen: Foreseen) -> float:
        """How long a step is expected to take: 0 where nothing is known."""
        ceiling = self.ceilings.flops.get(row.precision)
        rate = self.bench.rates.get(row.precision) or (HALF * ceiling if ceiling else None)
        flops = foreseen.flops_per_image
        return 0.0 if rate is None or flops is None else flops * row.batch_size / rate

    def afford(self, row: SpeedRow, foreseen: Foreseen, round_seconds: float) -> str | None:
        """Why there is no time for a row, or None. ``round_seconds``: a pass over the rows that wait beside it."""
        if row in self.waiting:
            self.waiting.remove(row)
        if self.left is None:
            return None
        step = self.step_seconds(row, foreseen)
        cost = (self.layout.speed.warmup + 4 * LEAST_ROUNDS) * step + 3 * LEAST_ROUNDS * round_seconds
        if cost <= self.left:
            return None
        return (
            f"left out: with what is not timed yet it takes about {max(1, round(cost))} s, and"
            f" {max(0.0, self.left):.0f} s of {self.plan.seconds:g} are left (--seconds)"
        )

    def seconds_for(self) -> float | None:
        """How long the rows that are ready may be timed, so that those still waiting have their turn."""
        if self.left is None:
            return None
        passes = self.layout.speed.warmup + 3 * LEAST_ROUNDS
        later = sum(passes * self.step_seconds(row, self.bench.foreseen_of(row)) for row in self.waiting)
        return max(1.0, self.left - later)

    # What is kept.

    def _keep(self, one: Measured, found: Mapping[int, Measured]) -> None:
        brought = {choice.distribution: choice.version for choice in one.row.choices.values()}
        made = provenance(torch_facts(str(self.device)), brought)
        record = record_of(one, found, self.plan, self.layout, self.ceilings, made)
        self.outcome.records.append(record)
        self.listen(Event("record", record))
        if one.status == "skipped":  # shown, not stored: an earlier measurement of it stays
            return
        try:
            self.store.put(
                record, suite=self.outcome.suite, description=digest(one.row.description), inputs=one.row.inputs
            )
            if one.timing is not None:
                self.store.put_steps(one.row.key, one.timing.step_ms)
            if one.end_to_end is not None:
                self.store.put_steps(f"{one.row.key}/end-to-end", one.end_to_end.step_ms)
        except StoreError as error:
            self._not_stored(error)

    def _not_stored(self, error: SslbenchError) -> None:
        if self.outcome.store_error is None:
            self.listen(Event("warning", {"text": f"{error}; results will only be printed"}))
        self.outcome.store_error = self.outcome.store_error or str(error)


def grouped(plan: SpeedPlan) -> Iterator[list[int]]:
    """Places of rows that are held against each other, directly or through others; baselines before their rows."""
    linked: dict[int, int] = {place: place for place in range(len(plan.rows))}

    def root(place: int) -> int:
        while linked[place] != place:
            place = linked[place]
        return place

    for pair in plan.pairs:
        first, second = sorted((root(pair.row), root(pair.baseline)))
        linked[second] = first
    groups: dict[int, list[int]] = {}
    for place in linked:
        groups.setdefault(root(place), []).append(place)
    yield from groups.values()
