from __future__ import annotations

import pytest
import torch

from sslbench import BuildContext, TargetMasking, UserError, masked_count
from sslbench.hooks.registry import Registry
from sslbench.testing.pretended_gpu import DEVICE, PretendedGenerator, PretendedGpu

GRIDS = [(4, 4), (8, 8), (14, 14), (3, 7), (1, 9), (16, 5), (2, 2)]
RATIOS = [0.3, 0.5, 0.75, 0.9]
SPEC = Registry().get("masking", "multi-block")


def build(**params):
    return SPEC.build(SPEC.params(**params), BuildContext())


def draw(grid=(14, 14), ratio=0.75, batch=64, seed=0, **params):
    return build(**params).sample_targets(batch, grid, ratio, torch.Generator().manual_seed(seed))


def as_masks(indices, patches):
    return torch.zeros(*indices.shape[:-1], patches, dtype=torch.bool).scatter_(-1, indices, True)


def box(mask):
    """Top, left, height and width of what is True, ``[rows, cols]``."""
    rows, cols = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
    return (int(rows.min()), int(cols.min()), int(rows.max() - rows.min()) + 1, int(cols.max() - cols.min()) + 1)


def test_it_makes_targets():
    assert isinstance(build(), TargetMasking)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("seed", range(4))
def test_counts_are_exact_and_no_patch_is_in_the_context_and_in_a_target(grid, ratio, seed):
    patches = grid[0] * grid[1]
    try:
        visible = patches - masked_count(patches, ratio)
    except UserError:
        with pytest.raises(UserError, match="leaves 0 of"):
            draw(grid, ratio)
        return
    context, targets = draw(grid, ratio, seed=seed)
    assert context.shape == (64, visible)
    assert targets.shape[:2] == (64, 4)
    assert context.dtype == targets.dtype == torch.int64
    for indices in (context, targets):
        assert (indices.diff(dim=-1) > 0).all()
        assert indices.min() >= 0
        assert indices.max() < patches
    in_context = as_masks(context, patches)
    assert not (in_context.unsqueeze(1) & as_masks(targets, patches)).any()
    mask = build().sample(64, grid, ratio, torch.Generator().manual_seed(seed))
    assert torch.equal(mask, ~in_context)


@pytest.mark.parametrize("seed", range(6))
def test_targets_are_whole_blocks_of_one_size_in_the_papers_range(seed):
    _, targets = draw(seed=seed, batch=8)
    boxes = [box(mask.view(14, 14)) for mask in as_masks(targets, 196).flatten(0, 1)]
    ((height, width),) = {(height, width) for _, _, height, width in boxes}
    assert height * width == targets.shape[2]
    # Sides are whole patches: half a patch beside the paper's 0.15 to 0.2 of the area, and 0.75 to 1.5.
    assert 0.15 * 196 - width / 2 <= height * width <= 0.2 * 196 + width / 2
    assert (height - 0.5) / (width + 0.5) <= 1.5
    assert (height + 0.5) / (width - 0.5) >= 0.75


def test_sizes_differ_from_step_to_step_and_places_from_image_to_image():
    sizes = {draw(seed=seed, batch=1)[1].shape[2] for seed in range(20)}
    assert len(sizes) > 4
    _, targets = draw()
    assert len(targets[:, 0].unique(dim=0)) > 32


def test_targets_reach_every_place_alike():
    _, targets = draw(batch=20_000)
    top, left, height, width = zip(*(box(mask.view(14, 14)) for mask in as_masks(targets[:500, 0], 196)), strict=True)
    assert (set(top), set(left)) == (set(range(15 - height[0])), set(range(15 - width[0])))
    places = targets[:, 0, 0].bincount(minlength=196)
    places = places[places > 0].float() / 20_000
    assert len(places) == (15 - height[0]) * (15 - width[0])
    assert (places * len(places) - 1).abs().max() < 0.3


def test_the_context_lies_in_its_block_and_is_no_strip_of_it():
    context, targets = draw(batch=500, context_scale_min=0.5, context_scale_max=0.5, ratio=0.9)
    masks = as_masks(context, 196).view(-1, 14, 14)
    assert max(max(box(mask)[2:]) for mask in masks) == 10
    # Surplus patches are left out at random: the first rows of the grid are in it as often as the last.
    assert (masks.nonzero()[:, 1].float().mean() - 6.5).abs() < 0.2
    assert not (as_masks(targets, 196).any(dim=1) & as_masks(context, 196)).any()


def plain(grid, visible, height, width, context_block, corners):
    """The rule, image by image: last targets onto the first until the context block has enough beside them."""
    targets = [
        {(top + row) * grid[1] + left + col for row in range(height) for col in range(width)} for top, left in corners
    ]
    for last in reversed(range(1, len(targets))):
        if len(context_block - set().union(*targets)) >= visible:
            break
        targets[last] = targets[0]
    return targets, context_block - set().union(*targets)


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.6, 0.75])
def test_last_targets_move_onto_the_first_only_where_and_as_far_as_the_context_needs_it(ratio):
    """Beside blocks drawn from the same numbers, with a context block of the whole grid."""
    visible = 196 - masked_count(196, ratio)
    context, targets = draw(ratio=ratio, context_scale_min=1)
    height, width = (box(as_masks(targets, 196)[0, 0].view(14, 14))[i] for i in (2, 3))
    u = torch.rand(2, 64 * 4, generator=torch.Generator().manual_seed(0))
    tops, lefts = (u[0] * (15 - height)).long().view(64, 4), (u[1] * (15 - width)).long().view(64, 4)
    moved = 0
    for image in range(64):
        corners = list(zip(tops[image].tolist(), lefts[image].tolist(), strict=True))
        expected, left = plain((14, 14), visible, height, width, set(range(196)), corners)
        assert [set(target.tolist()) for target in targets[image]] == expected
        assert set(context[image].tolist()) <= left
        moved += expected[-1] == expected[0]
    assert (moved > 20) == (ratio < 0.6)


def test_a_target_never_has_more_patches_than_the_context_lacks():
    context, targets = draw((8, 8), 0.1)
    assert context.shape == (64, 57)
    assert targets.shape[2] <= 7
    whole, _ = draw((8, 8), 0.3, context_scale_min=0.1, context_scale_max=0.1)
    assert whole.shape == (64, 44)


def test_equal_generators_equal_draws():
    for one, other in zip(draw(seed=3), draw(seed=3), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(draw(seed=3)[0], draw(seed=4)[0])


@pytest.mark.parametrize("name", ["target_scale", "target_aspect", "context_scale"])
def test_a_range_the_wrong_way_round_is_named(name):
    words = f"masking 'multi-block': {name}_min = 0.9 is above {name}_max; allowed: at most 0.5"
    with pytest.raises(UserError, match=words):
        build(**{f"{name}_min": 0.9, f"{name}_max": 0.5})


@pytest.mark.pretended
def test_on_a_gpu_nothing_waits_for_it():
    with PretendedGpu() as gpu:
        results = build().sample_targets(6, (8, 8), 0.75, PretendedGenerator())
    assert {result.device for result in results} == {DEVICE}
    assert gpu.crossings == []


@pytest.mark.gpu
def test_on_a_real_one_neither():
    generator = torch.Generator("cuda").manual_seed(0)
    build().sample_targets(6, (8, 8), 0.75, generator)
    torch.cuda.set_sync_debug_mode("error")
    try:
        context, targets = build().sample_targets(6, (8, 8), 0.75, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert context.is_cuda
    assert not (as_masks(context.cpu(), 64).unsqueeze(1) & as_masks(targets.cpu(), 64)).any()
