"""How visible patches lie in the grid: distances between them, evenness, and distance from the masked ones; and the
tables of these measures, their extremes, and one mask of each strategy.

The measures take ``visible``, bool ``[B, rows * cols]``, row-major, with at least one patch visible in every mask, and
the grid; distances are Euclidean, in patches.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sslbench_plugins.blocks.studies.results import Row, best_keys

Visible = NDArray[np.bool_]
Grid = tuple[int, int]
PART = 1 << 22
"""distances held at once"""
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


@lru_cache
def distances(grid: Grid) -> NDArray[np.float64]:
    """``[rows * cols, rows * cols]``: from every patch to every other."""
    row, col = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    return np.asarray(np.hypot(row[:, None] - row, col[:, None] - col))


def checked(visible: Visible, grid: Grid) -> Visible:
    """``visible`` itself. Raises ValueError for another shape, or a mask without a visible patch."""
    if visible.ndim != 2 or visible.shape[1] != grid[0] * grid[1] or visible.shape[0] == 0:
        raise ValueError(
            f"visible of shape {visible.shape} for a grid of {grid[0]} x {grid[1]}; expected [B, rows * cols]"
        )
    if not visible.any(axis=1).all():
        raise ValueError("a mask shows nothing: no distance to a visible patch")
    return visible


def mean_visible_distance(visible: Visible, grid: Grid) -> float | None:
    """Mean distance between two different visible patches, averaged over masks; None where a mask shows only one."""
    shown = checked(visible, grid).astype(np.float64)
    count = shown.sum(axis=1)
    if (count < 2).any():
        return None
    total = np.einsum("bn,bn->b", shown @ distances(grid), shown)
    return float((total / (count * (count - 1))).mean())


def quadrant_counts(visible: Visible, grid: Grid) -> NDArray[np.int64]:
    """Visible patches in each quadrant, ``[B, 4]``: top left, top right, bottom left, bottom right. The first half of
    an odd side is the smaller one. Raises ValueError for a side of 1."""
    rows, cols = grid
    if min(grid) < 2:
        raise ValueError(f"a grid of {rows} x {cols} has no quadrants; both sides must be 2 or more")
    cells = checked(visible, grid).reshape(-1, rows, cols)
    halves = [half for part in np.split(cells, [rows // 2], axis=1) for half in np.split(part, [cols // 2], axis=2)]
    return np.stack([half.sum(axis=(1, 2)) for half in halves], axis=1)


def coverage_uniformity(visible: Visible, grid: Grid) -> float | None:
    """Standard deviation (ddof 0) of the four quadrants' visible counts, averaged over masks; lower is more even. None
    for a grid of one row or column, which has no quadrants."""
    return float(quadrant_counts(visible, grid).std(axis=1).mean()) if min(grid) >= 2 else None


def reconstruction_difficulty(visible: Visible, grid: Grid) -> float | None:
    """Mean distance from a masked patch to the nearest visible one, averaged over masks; None where none is masked."""
    shown = checked(visible, grid)
    if shown.all(axis=1).any():
        return None
    matrix = distances(grid)
    part = max(1, PART // matrix.size)
    means = []
    for start in range(0, len(shown), part):
        some = shown[start : start + part]
        nearest = np.where(some[:, None, :], matrix, np.inf).min(axis=2)
        means.append((nearest * ~some).sum(axis=1) / (~some).sum(axis=1))
    return float(np.concatenate(means).mean())


def visible_count(patches: int, ratio: float) -> int:
    """``int(patches * (1 - ratio))``, not misled by binary rounding."""
    return int(patches * (1 - ratio) + 1e-9)


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
