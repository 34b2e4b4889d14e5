"""From groups of a plan to pieces of work, and the records of cells that are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sslbench.contracts.executor import Evaluation, Work
from sslbench.plan.cell import Cell
from sslbench.plan.plan import Group
from sslbench.store.record import Record


def work_of(group: Group, out: Path, *, download: bool = False, fresh: bool = False) -> Work:
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
        fresh=fresh,
        curve=pretraining.curve_request,
    )


def limited(groups: Sequence[Group], max_cells: int | None) -> list[Group]:
    """The first ``max_cells`` cells of the groups."""
    if max_cells is None:
        return list(groups)
    kept = []
    for group in groups:
        if max_cells <= 0:
            break
        kept.append(Group(group.pretraining, group.cells[:max_cells]))
        max_cells -= len(group.cells)
    return kept


def skipped_record(cell: Cell, reason: str) -> Record:
    """The record of plugins that do not work together; it is shown, not stored."""
    return Record(cell.key, "skipped", reason=reason, **cell.axes, params=cell.params)
