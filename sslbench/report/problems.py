"""What kept cells from being done, and what was left out of the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sslbench.report.rows import Row
from sslbench.store.record import Record


@dataclass(frozen=True)
class Problem:
    """Why cells of one row are not done."""

    row: int
    """index of the row"""
    status: str
    reason: str
    seeds: tuple[int, ...]
    evaluators: tuple[str, ...]
    """those that it concerns; empty for all of the row's"""


def problems_of(rows: Sequence[Row]) -> tuple[Problem, ...]:
    """What is not done, cells with the same row, status and reason together."""
    return tuple(problem for index, row in enumerate(rows) for problem in problems_of_row(index, row))


def problems_of_row(index: int, row: Row) -> list[Problem]:
    """Those of one row."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in row.records:
        if record.status != "done":
            groups.setdefault((record.status, first_line(record.reason)), []).append(record)
    everyone = {record.evaluator for record in row.records}
    problems = []
    for (status, reason), records in groups.items():
        names = tuple(dict.fromkeys(str(record.evaluator) for record in records))
        seeds = tuple(sorted({record.seed for record in records}))
        problems.append(Problem(index, status, reason, seeds, names if set(names) != everyone else ()))
    return problems


def first_line(text: str | None) -> str:
    """Of a reason that may have several, or none."""
    return ((text or "").splitlines() or [""])[0]


def images_skipped(rows: Sequence[Row]) -> dict[str, int]:
    """Data set -> images that could not be read."""
    skipped: dict[str, int] = {}
    for row in rows:
        counts = [(record.pretraining.images_skipped if record.pretraining else 0) or 0 for record in row.records]
        if max(counts, default=0):
            name = row.name("dataset")
            skipped[name] = max(skipped.get(name, 0), *counts)
    return skipped
