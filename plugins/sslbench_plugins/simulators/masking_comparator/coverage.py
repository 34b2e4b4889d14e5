"""How visible patches lie in the grid: distances between them, evenness, and distance from the masked ones.

All take ``visible``, bool ``[B, rows * cols]``, row-major, with at least one patch visible in every mask, and the
grid; distances are Euclidean, in patches.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Visible = NDArray[np.bool_]
Grid = tuple[int, int]
PART = 1 << 22
"""distances held at once"""


@lru_cache
def distances(grid: Grid) -> NDArray[np.float64]:
    """``[rows * cols, rows * cols]``: from every patch to every other."""
    row, col = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    matrix: NDArray[np.float64] = np.hypot(row[:, None] - row, col[:, None] - col)
    return matrix


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
    """Visible patches in each quadrant, ``[B, 4]``: top left, top right, bottom left, bottom right.

    The first half of an odd side is the smaller one. Raises ValueError for a side of 1.
    """
    rows, cols = grid
    if min(grid) < 2:
        raise ValueError(f"a grid of {rows} x {cols} has no quadrants; both sides must be 2 or more")
    cells = checked(visible, grid).reshape(-1, rows, cols)
    halves = [half for part in np.split(cells, [rows // 2], axis=1) for half in np.split(part, [cols // 2], axis=2)]
    return np.stack([half.sum(axis=(1, 2)) for half in halves], axis=1)


def coverage_uniformity(visible: Visible, grid: Grid) -> float | None:
    """Standard deviation (ddof 0) of the four quadrants' visible counts, averaged over masks; lower is more even.

    None for a grid of one row or column, which has no quadrants.
    """
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
