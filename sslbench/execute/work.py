"""From what a plan wants to be run to the work that an executor takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from sslbench.contracts.executor import Evaluation, Work
from sslbench.plan.plan import Group


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
        weights=pretraining.weights,
        codes={label: code for cell in group.cells for label, code in cell.inputs["code"].items()},
    )


def limited(groups: Sequence[Group], max_cells: int | None) -> list[Group]:
    """The first ``max_cells`` cells of the groups."""
    if max_cells is None:
        return list(groups)
    starts = accumulate((len(group.cells) for group in groups), initial=0)
    limits = [max(0, max_cells - start) for start in starts]
    return [Group(group.pretraining, group.cells[:most]) for group, most in zip(groups, limits, strict=False) if most]
