"""The plan: which cells are done, which would run, which are stale or skipped, grouped by shared pretraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sslbench.plan.cell import Cell, Pretraining, changed, has_curve

State = Literal["done", "to run", "stale", "skipped"]


class Memory(Protocol):
    """What the plan asks of the store."""

    def find(self, description: str) -> Sequence[tuple[str, Mapping[str, Any], str]]:
        """(cell key, inputs, status) of each record with this description."""
        ...


@dataclass(frozen=True)
class Planned:
    """One cell and what will happen to it."""

    cell: Cell
    state: State
    reason: str = ""
    record: str | None = None
    """key of the record that stands for it: its own, or a stale one that is knowingly reused"""


@dataclass(frozen=True)
class Group:
    """One pretraining and the cells of it that are to run."""

    pretraining: Pretraining
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Plan:
    """All cells of a suite, in order."""

    suite: str
    planned: tuple[Planned, ...]

    @property
    def groups(self) -> list[Group]:
        """What is to run, by shared pretraining."""
        found: dict[str, list[Cell]] = {}
        for item in self.planned:
            if item.state in ("to run", "stale"):
                found.setdefault(item.cell.pretraining.key, []).append(item.cell)
        return [Group(cells[0].pretraining, tuple(cells)) for cells in found.values()]


def make_plan(
    suite: str, cells: Sequence[Cell], memory: Memory | None, *, fresh: bool = False, keep_stale: bool = False
) -> Plan:
    """Hold the cells against the records.

    Only a ``done`` or ``collapsed`` record counts: what went wrong is tried again.
    """
    return Plan(suite, tuple(judge(cell, memory, fresh, keep_stale) for cell in cells))


def judge(cell: Cell, memory: Memory | None, fresh: bool, keep_stale: bool) -> Planned:
    if cell.skip:
        return Planned(cell, "skipped", cell.skip)
    known = [] if memory is None else memory.find(cell.description)
    good = {key: inputs for key, inputs, status in known if status in ("done", "collapsed")}
    if fresh:
        return Planned(cell, "to run", "asked for afresh" if good else "")
    if cell.key in good and has_curve(good[cell.key], cell.inputs):
        return Planned(cell, "done", record=cell.key)
    if good:
        key, inputs = list(good.items())[-1]
        why = changed(inputs, cell.inputs)
        if keep_stale:
            return Planned(cell, "done", f"stale, kept: {why}", record=key)
        return Planned(cell, "stale", why)
    failed = next((status for key, _, status in known if key == cell.key), None)
    return Planned(cell, "to run", f"{failed} before" if failed else "")
