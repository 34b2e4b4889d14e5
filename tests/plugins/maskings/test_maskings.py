from __future__ import annotations

import pytest
import torch
from scipy import ndimage

from sslbench import BuildContext, UserError, masked_count
from sslbench.hooks.registry import Registry
from sslbench.testing.pretended_gpu import DEVICE, PretendedGenerator, PretendedGpu
from sslbench_plugins.maskings.block import boxes
from sslbench_plugins.maskings.grid import lattice
from sslbench_plugins.maskings.random import RandomMasking

GRIDS = [(4, 4), (8, 8), (14, 14), (3, 7), (1, 9), (16, 5)]
RATIOS = [0.12, 0.25, 0.5, 0.6, 0.75, 0.88]
NAMES = Registry().catalogue.names("masking")


def sample(name, grid=(8, 8), ratio=0.75, batch=64, seed=0, **params):
    spec = Registry().get("masking", name)
    masking = spec.build(spec.params(**params), BuildContext())
    return masking.sample(batch, grid, ratio, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("ratio", RATIOS)
def test_every_sample_masks_exactly_the_same_number(name, grid, ratio):
    mask = sample(name, grid, ratio)
    assert mask.dtype == torch.bool
    assert mask.sum(dim=1).unique().tolist() == [masked_count(grid[0] * grid[1], ratio)]


@pytest.mark.parametrize("name", NAMES)
def test_samples_differ_seeds_repeat(name):
    mask = sample(name)
    assert len(mask.unique(dim=0)) > 1
    assert torch.equal(mask, sample(name))
    assert not torch.equal(mask, sample(name, seed=1))


@pytest.mark.parametrize("name", NAMES)
def test_a_ratio_that_leaves_nothing_is_an_error(name):
    words = r"mask ratio = 0\.99 leaves 0 of 16 patches visible; .* allowed is a ratio above 0 and up to 0\.937$"
    with pytest.raises(UserError, match=words):
        sample(name, (4, 4), 0.99)


@pytest.mark.parametrize("unit", [2, 3, 5])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("ratio", RATIOS)
def test_whole_units_are_masked_and_one_at_most_in_part(unit, grid, ratio):
    if unit >= max(grid):
        with pytest.raises(UserError, match="makes one square"):
            sample("random", grid, ratio, unit=unit)
        return
    mask = sample("random", grid, ratio, unit=unit)
    assert mask.sum(dim=1).unique().tolist() == [masked_count(grid[0] * grid[1], ratio)]
    for image in mask.view(-1, *grid):
        squares = [square for rows in image.split(unit) for square in rows.split(unit, dim=1)]
        assert sum(bool(square.any()) and not bool(square.all()) for square in squares) <= 1
    assert len(mask.unique(dim=0)) > 1


def test_a_unit_of_one_masks_the_same_patches_as_before_there_were_units():
    noise = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(sample("random"), noise.argsort(dim=1).argsort(dim=1) >= 16)


def test_patches_of_units_are_masked_equally_often():
    share = sample("random", (14, 14), 0.6, batch=20_000, unit=2).float().mean(dim=0)
    assert (share - masked_count(196, 0.6) / 196).abs().max() < 0.02


def test_a_grid_of_a_single_unit_is_refused():
    words = "masking 'random': unit = 8 makes one square of the grid of 8 x 8 patches; allowed: 1 to 7"
    with pytest.raises(UserError, match=words):
        sample("random", unit=8)


@pytest.mark.pretended
def test_units_on_a_gpu_wait_for_nothing():
    with PretendedGpu() as gpu:
        mask = RandomMasking(unit=3).sample(6, (8, 8), 0.75, PretendedGenerator())
    assert mask.device == DEVICE
    assert gpu.crossings == []


@pytest.mark.parametrize("name", ["random", "grid"])
def test_every_patch_is_masked_equally_often(name):
    share = sample(name, batch=20_000).float().mean(dim=0)
    assert (share - 0.75).abs().max() < 0.02


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("ratio", RATIOS)
def test_a_block_is_one_piece_that_fills_its_bounding_box_but_for_one_edge(grid, ratio):
    for mask in sample("block", grid, ratio, batch=16).view(-1, *grid):
        pieces = ndimage.label(mask.numpy())[1]
        assert pieces == 1
        rows, cols = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
        height, width = (int(x.max() - x.min()) + 1 for x in (rows, cols))
        empty = height * width - int(mask.sum())
        assert 0 <= empty < max(height, width)


@pytest.mark.parametrize(
    ("grid", "masked", "sizes"),
    [
        ((14, 14), 147, {(13, 12), (12, 13)}),  # 12 x 12 and 3 more
        ((8, 8), 48, {(6, 8), (8, 6)}),
        ((8, 8), 16, {(4, 4)}),
    ],
)
def test_a_block_is_the_rectangle_nearest_to_the_wanted_area(grid, masked, sizes):
    assert {box[:2] for box in boxes(*grid, masked)} == sizes


def test_a_block_that_only_fits_lengthwise_is_as_square_as_it_can_be():
    assert {box[:2] for box in boxes(2, 20, 24)} == {(2, 12)}


def test_blocks_reach_every_position():
    corners = {
        tuple(mask.view(8, 8).nonzero().min(dim=0).values.tolist()) for mask in sample("block", ratio=0.25, batch=2000)
    }
    assert len(corners) == 25


def test_the_lattice_of_three_quarters_is_every_other_row_and_column():
    assert lattice(8, 8, 16) == (4, 4)
    shown = ~sample("grid", batch=200).view(-1, 8, 8)
    kinds = {tuple(mask.nonzero().min(dim=0).values.tolist()) for mask in shown}
    assert kinds == {(0, 0), (0, 1), (1, 0), (1, 1)}
    for mask in shown:
        rows, cols = mask.any(dim=1).nonzero().flatten(), mask.any(dim=0).nonzero().flatten()
        assert (rows.diff() == 2).all()
        assert (cols.diff() == 2).all()
    quadrants = shown.view(-1, 2, 4, 2, 4).sum(dim=(2, 4))
    assert (quadrants == 4).all()


@pytest.mark.parametrize(("visible", "size"), [(7, (2, 3)), (16, (4, 4)), (32, (4, 8)), (48, (6, 8)), (60, (8, 8))])
def test_a_lattice_is_never_stretched_beyond_two(visible, size):
    assert lattice(8, 8, visible) == size


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75, 0.9])
def test_the_grid_covers_quadrants_more_evenly_than_chance(ratio):
    def unevenness(name):
        shown = ~sample(name, (8, 8), ratio, batch=500).view(-1, 8, 8)
        return shown.view(-1, 2, 4, 2, 4).sum(dim=(2, 4)).float().flatten(1).std(dim=1).mean()

    assert unevenness("grid") < 0.8 * unevenness("random")


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_masks_are_made_on_the_generators_device(name):
    spec = Registry().get("masking", name)
    mask = spec.build(spec.params(), BuildContext()).sample(32, (14, 14), 0.75, torch.Generator("cuda").manual_seed(0))
    assert mask.is_cuda
    assert mask.sum(dim=1).unique().tolist() == [147]
