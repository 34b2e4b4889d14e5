"""Rows of the three tables: measures, extremes and one mask of each strategy at each ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sslbench_plugins.blocks.studies.tables import best_keys
from sslbench_plugins.simulators.masking_comparator.coverage import (
    Grid,
    coverage_uniformity,
    mean_visible_distance,
    reconstruction_difficulty,
)
from sslbench_plugins.simulators.masking_comparator.sampling import Sample, visible_count

Samples = Mapping[tuple[str, float], Sample]
"""(strategy, ratio) -> its masks"""


@dataclass(frozen=True)
class StrategyRow:
    """The measures of one strategy at one ratio; one that is undefined is None, and ``reason`` says why."""

    strategy: str
    ratio: float
    visible_patches: int
    mean_visible_distance: float | None
    coverage_uniformity: float | None
    reconstruction_difficulty: float | None
    reason: str


@dataclass(frozen=True)
class ExtremeRow:
    """Which strategy is hardest, and which covers most evenly, at one ratio; ties named."""

    ratio: float
    highest_difficulty: str | None
    most_even_coverage: str | None
    reason: str


@dataclass(frozen=True)
class MaskRow:
    """The first mask of a strategy at a ratio: which of the patches 1, 2, 3, ..., row by row, are visible."""

    strategy: str
    ratio: float
    visible_values: list[int]
    reason: str


def strategy_row(name: str, ratio: float, sample: Sample, grid: Grid) -> StrategyRow:
    """Measures the masks of one sample."""
    count = visible_count(grid[0] * grid[1], ratio)
    if sample.masked is None:
        return StrategyRow(name, ratio, count, None, None, None, sample.reason)
    visible = ~sample.masked
    distance, uniformity = mean_visible_distance(visible, grid), coverage_uniformity(visible, grid)
    reasons = [
        *(["one visible patch is at no distance from another"] if distance is None else []),
        *(["a grid of one row or column has no quadrants"] if uniformity is None else []),
    ]
    difficulty = reconstruction_difficulty(visible, grid)
    return StrategyRow(name, ratio, count, distance, uniformity, difficulty, "; ".join(reasons))


def extreme_row(ratio: float, rows: list[StrategyRow]) -> ExtremeRow:
    """Of the rows at this ratio."""
    hardest = best_keys({row.strategy: row.reconstruction_difficulty for row in rows if row.ratio == ratio}, max)
    evenest = best_keys({row.strategy: row.coverage_uniformity for row in rows if row.ratio == ratio}, min)
    reason = "" if hardest and evenest else "no strategy has a defined value"
    return ExtremeRow(ratio, " and ".join(hardest) or None, " and ".join(evenest) or None, reason)


def mask_row(name: str, ratio: float, sample: Sample) -> MaskRow:
    """The first mask of a sample."""
    values = [] if sample.masked is None else (np.flatnonzero(~sample.masked[0]) + 1).tolist()
    return MaskRow(name, ratio, values, sample.reason)
