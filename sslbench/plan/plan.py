"""The plan: which cells are done, which would run, which are stale or skipped, grouped by shared pretraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from sslbench.contracts.executor import TrainingSettings
from sslbench.plan.cell import Cell, Pretraining, changed, digest, has_curve
from sslbench.store.record import DataFacts

State = Literal["done", "to run", "stale", "skipped"]


class Memory(Protocol):
    """What the plan needs of the store."""

    def find(self, description: str) -> Sequence[tuple[str, Mapping[str, Any], str]]:
        """(cell key, inputs, status) of each record with this description, the one that was asked for last at the end;
        ``damaged``: one that cannot be read."""

    def data_of(self, cell: str) -> DataFacts | None:
        """What the run of a cell looked at; None where nobody wrote it down."""


@dataclass(frozen=True)
class Planned:
    """One cell and what will happen to it."""

    cell: Cell
    state: State  # ``stale`` cells will be run again
    reason: str = ""  # why it is stale or skipped, or why it is run although there is a record
    reused: str | None = None  # key of the stale record that is knowingly taken for it

    @property
    def record(self) -> str:
        """Key of the record that stands for it, made or to be made."""
        return self.reused or self.cell.key


@dataclass(frozen=True)
class Group:
    """One pretraining and the cells of it that are to run."""

    pretraining: Pretraining
    cells: tuple[Cell, ...]  # at least one


@dataclass(frozen=True)
class PlannedData:
    """A data set of the plan, and what is known of it without reading an image: what an earlier run wrote down."""

    name: str
    facts: DataFacts | None
    training: TrainingSettings
    epochs: tuple[int, ...] = ()
    """that methods are trained for on it, each number once, from the fewest to the most"""


@dataclass(frozen=True)
class Plan:
    """All cells of a suite, in order."""

    suite: str
    planned: tuple[Planned, ...]
    notes: tuple[str, ...] = ()  # what the user should know beside it
    data: tuple[PlannedData, ...] = ()
    """of the cells that are not skipped; each part of a data set once"""

    @property
    def groups(self) -> list[Group]:
        """What is to run, by shared pretraining."""
        cells: dict[str, list[Cell]] = {}
        for item in self.planned:
            if item.state in ("to run", "stale"):
                cells.setdefault(item.cell.pretraining.key, []).append(item.cell)
        return [Group(shared[0].pretraining, tuple(shared)) for shared in cells.values()]


def make_plan(
    suite: str, cells: Sequence[Cell], memory: Memory | None, *, fresh: bool = False, keep_stale: bool = False
) -> Plan:
    """Compare the cells with the records; ``memory`` is None where there are none. Only a ``done`` or ``collapsed`` one
    counts: what went wrong is tried again. ``fresh`` runs everything again, ``keep_stale`` reuses records of older code
    or data."""
    planned = tuple(state_of(cell, memory, fresh, keep_stale) for cell in cells)
    return Plan(suite, planned, data=tuple(known_data(planned, memory)))


def known_data(planned: Sequence[Planned], memory: Memory | None) -> list[PlannedData]:
    """The data sets of a plan; what is known of one was written down by a run that is done, of the same content."""
    found: dict[tuple[str, str], PlannedData] = {}
    epochs: dict[tuple[str, str], set[int]] = {}
    for item in planned:
        shared = item.cell.pretraining
        key = (digest(shared.dataset.description), shared.fingerprint)
        if item.state == "skipped":
            continue
        epochs.setdefault(key, set()).add(shared.epochs or 0)
        if key in found and found[key].facts:
            continue
        facts = memory.data_of(item.record) if memory and item.record and item.state == "done" else None
        same = facts is not None and facts.fingerprint == shared.fingerprint
        found[key] = PlannedData(shared.dataset.name, facts if same else None, shared.training)
    return [replace(data, epochs=tuple(sorted(epochs[key] - {0}))) for key, data in found.items()]


def state_of(cell: Cell, memory: Memory | None, fresh: bool, keep_stale: bool) -> Planned:
    """What will happen to one cell; arguments as of ``make_plan``."""
    if cell.skip:
        return Planned(cell, "skipped", cell.skip)
    records = [] if memory is None else memory.find(cell.description)
    finished = {key: inputs for key, inputs, status in records if status in ("done", "collapsed")}
    if fresh:
        return Planned(cell, "to run", "--fresh" if finished else "")
    if cell.key in finished and has_curve(finished[cell.key], cell.inputs):
        return Planned(cell, "done")
    own = next((status for key, _, status in records if key == cell.key), None)
    if finished and own != "damaged":
        same_data = {key: inputs for key, inputs in finished.items() if inputs.get("data") == cell.inputs["data"]}
        key, inputs = list((same_data or finished).items())[-1]
        reason = changed(inputs, cell.inputs)
        return Planned(cell, "done", f"stale, kept: {reason}", key) if keep_stale else Planned(cell, "stale", reason)
    return Planned(cell, "to run", f"{own} before" if own else "")
