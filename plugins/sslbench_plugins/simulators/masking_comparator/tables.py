"""Masks drawn from a registered masking, and rows of the three tables: measures, extremes, and one mask of each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from sslbench import Masking, UserError, masked_count
from sslbench_plugins.blocks.studies.results import Row, best_keys
from sslbench_plugins.simulators.masking_comparator.coverage import (
    Grid,
    coverage_uniformity,
    mean_visible_distance,
    reconstruction_difficulty,
)

Sample = NDArray[np.bool_] | str
"""masks of one strategy at one ratio, ``[draws, rows * cols]``, True where masked; or why there are none"""
Samples = Mapping[tuple[str, float], Sample]
"""(strategy, ratio) -> its masks"""
UNDEFINED = {
    "mean_visible_distance": "one visible patch is at no distance from another",
    "coverage_uniformity": "a grid of one row or column has no quadrants",
    "reconstruction_difficulty": "",
}
"""measure -> why it may be undefined"""


def visible_count(patches: int, ratio: float) -> int:
    """``int(patches * (1 - ratio))``, not misled by binary rounding."""
    return int(patches * (1 - ratio) + 1e-9)


def draw_masks(name: str, masking: Masking, grid: Grid, ratio: float, draws: int, seed: int) -> Sample:
    """From a generator seeded anew. A masking that fails has a reason and spoils no other."""
    patches = grid[0] * grid[1]
    try:
        wanted = masked_count(patches, ratio)
    except UserError:
        return f"{visible_count(patches, ratio)} of {patches} patches visible: nothing to measure"
    try:
        masked = masking.sample(draws, grid, ratio, torch.Generator().manual_seed(seed)).numpy()
    except Exception as error:
        return f"masking {name!r} raised {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if masked.shape != (draws, patches) or (masked.sum(axis=1) != wanted).any():
        counts = ", ".join(map(str, sorted(set(masked.sum(axis=-1).ravel().tolist()))[:5]))
        return f"masking {name!r} masks {counts} of {patches} patches, not {wanted} in every mask"
    return masked


def strategy_row(name: str, ratio: float, sample: Sample, grid: Grid) -> Row:
    """The measures of one strategy at one ratio; one that is undefined is None, and ``reason`` says why."""
    row: Row = {"strategy": name, "ratio": ratio, "visible_patches": visible_count(grid[0] * grid[1], ratio)}
    if isinstance(sample, str):
        return {**row, **dict.fromkeys(UNDEFINED), "reason": sample}
    functions = (mean_visible_distance, coverage_uniformity, reconstruction_difficulty)
    values = {measure: function(~sample, grid) for measure, function in zip(UNDEFINED, functions, strict=True)}
    reasons = [UNDEFINED[measure] for measure, value in values.items() if value is None]
    return {**row, **values, "reason": "; ".join(filter(None, reasons))}


def extreme_row(ratio: float, rows: list[Row]) -> Row:
    """Which strategy is hardest, and which covers most evenly, of the ``rows`` at this ratio; ties named."""
    at_ratio = [row for row in rows if row["ratio"] == ratio]
    hardest = best_keys({row["strategy"]: row["reconstruction_difficulty"] for row in at_ratio}, max)
    evenest = best_keys({row["strategy"]: row["coverage_uniformity"] for row in at_ratio}, min)
    return {
        "ratio": ratio,
        "highest_difficulty": " and ".join(hardest) or None,
        "most_even_coverage": " and ".join(evenest) or None,
        "reason": "" if hardest and evenest else "no strategy has a defined value",
    }


def mask_row(name: str, ratio: float, sample: Sample) -> Row:
    """The first mask of a strategy at a ratio: which of the patches 1, 2, 3, ..., row by row, are visible."""
    values, reason = ([], sample) if isinstance(sample, str) else ((np.flatnonzero(~sample[0]) + 1).tolist(), "")
    return {"strategy": name, "ratio": ratio, "visible_values": values, "reason": reason}
