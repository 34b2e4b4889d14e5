from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from sslbench_plugins.simulators.masking_comparator.tables import (
    coverage_uniformity,
    mean_visible_distance,
    quadrant_counts,
    reconstruction_difficulty,
)

GRID = (5, 6)


def some_masks(count=8, grid=GRID, shown=7):
    rng = np.random.RandomState(0)
    visible = np.zeros((count, grid[0] * grid[1]), dtype=bool)
    for row in visible:
        row[rng.choice(len(row), shown, replace=False)] = True
    return visible


def patches(mask, grid):
    """(row, column) of the visible patches, and of the masked ones."""
    cells = [divmod(i, grid[1]) for i in range(grid[0] * grid[1])]
    return [c for c, v in zip(cells, mask, strict=True) if v], [c for c, v in zip(cells, mask, strict=True) if not v]


def test_the_mean_distance_is_over_pairs():
    masks = some_masks()
    plain = [np.mean([math.dist(a, b) for a, b in itertools.combinations(patches(mask, GRID)[0], 2)]) for mask in masks]
    assert mean_visible_distance(masks, GRID) == pytest.approx(np.mean(plain), abs=1e-12)


def test_difficulty_is_the_distance_to_the_nearest_visible_patch():
    masks = some_masks()
    plain = []
    for mask in masks:
        shown, masked = patches(mask, GRID)
        plain.append(np.mean([min(math.dist(m, s) for s in shown) for m in masked]))
    assert reconstruction_difficulty(masks, GRID) == pytest.approx(np.mean(plain), abs=1e-12)


def test_a_checkerboard_has_equal_quadrants_and_every_masked_patch_a_visible_neighbour():
    rows, cols = np.mgrid[:8, :8]
    checkerboard = ((rows + cols) % 2 == 0).reshape(1, -1)
    assert quadrant_counts(checkerboard, (8, 8)).tolist() == [[8, 8, 8, 8]]
    assert coverage_uniformity(checkerboard, (8, 8)) == 0
    assert reconstruction_difficulty(checkerboard, (8, 8)) == 1


def test_quadrants_in_their_order_and_their_deviation():
    visible = np.zeros((1, 16), dtype=bool)
    visible[0, [0, 1, 4, 2, 15]] = True  # three top left, one top right, one bottom right
    assert quadrant_counts(visible, (4, 4)).tolist() == [[3, 1, 0, 1]]
    assert coverage_uniformity(visible, (4, 4)) == pytest.approx(np.std([3, 1, 0, 1]))


def test_an_odd_side_has_its_smaller_half_first():
    assert quadrant_counts(np.ones((1, 15), dtype=bool), (3, 5)).tolist() == [[2, 3, 4, 6]]


def test_two_corners():
    visible = np.zeros((1, 64), dtype=bool)
    visible[0, [0, 63]] = True
    assert mean_visible_distance(visible, (8, 8)) == pytest.approx(7 * math.sqrt(2))


def test_what_is_undefined_is_none():
    single = np.eye(1, 16, dtype=bool)
    assert mean_visible_distance(single, (4, 4)) is None
    assert reconstruction_difficulty(np.ones((2, 16), dtype=bool), (4, 4)) is None
    assert coverage_uniformity(single, (1, 16)) is None


@pytest.mark.parametrize("measure", [mean_visible_distance, coverage_uniformity, reconstruction_difficulty])
def test_wrong_masks_are_errors(measure):
    with pytest.raises(ValueError, match="a mask shows nothing"):
        measure(np.zeros((1, 16), dtype=bool), (4, 4))
    with pytest.raises(ValueError, match=r"visible of shape \(1, 16\) for a grid of 5 x 5; expected \[B, rows"):
        measure(np.ones((1, 16), dtype=bool), (5, 5))


def test_a_line_has_no_quadrants():
    with pytest.raises(ValueError, match="a grid of 1 x 16 has no quadrants"):
        quadrant_counts(np.ones((1, 16), dtype=bool), (1, 16))
