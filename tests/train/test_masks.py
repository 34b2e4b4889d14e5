"""The masks that methods ask for: how many patches of how many images, context and targets, whatever the masking."""

import pytest
import torch

from sslbench import MaskRequest, masked_count
from sslbench.errors import PluginError
from sslbench.testing.pretended_gpu import DEVICE, PretendedGenerator, PretendedGpu
from sslbench.train.masks import draw_masks, most_masked, ratios_of

GRID, PATCHES = (6, 8), 48


class Asks:
    """As much of a method as is asked for its masks."""

    mask_grid = GRID

    def __init__(self, *requests):
        self.masks = requests


def drawn(*requests, ratio=0.5, batch=32, masking=None, seed=0):
    return draw_masks(Asks(*requests), masking, ratio, batch, torch.Generator().manual_seed(seed))


def test_a_plain_request_masks_every_image_alike():
    (mask,) = drawn(MaskRequest())
    assert (mask.dtype, mask.shape) == (torch.bool, (32, PATCHES))
    assert mask.sum(dim=1).tolist() == [24] * 32
    assert len(mask.unique(dim=0)) == 32


def test_two_views_get_masks_of_their_own():
    first, second = drawn(MaskRequest(0), MaskRequest(1))
    assert not torch.equal(first, second)


def test_share_and_spread_are_kept_exactly():
    (mask,) = drawn(MaskRequest(spread=0.2, share=0.5), ratio=0.3, batch=32)
    counts = mask.sum(dim=1)
    assert (counts == 0).sum() == 16
    levels = [0.3 + 0.2 * ((2 * level + 1) / 16 - 1) for level in range(16)]
    expected = sorted(masked_count(PATCHES, level) for level in levels)
    assert sorted(counts[counts > 0].tolist()) == expected
    assert expected[0] >= masked_count(PATCHES, 0.1)
    assert expected[-1] <= masked_count(PATCHES, 0.5)


def test_which_images_are_masked_is_random():
    masks = [drawn(MaskRequest(share=0.5), batch=8, seed=seed)[0].any(dim=1) for seed in range(40)]
    often = torch.stack(masks).float().mean(dim=0)
    assert 0.2 < often.min() <= often.max() < 0.8


@pytest.mark.parametrize("ratio", [0.03, 0.5, 0.97])
def test_a_spread_leaves_something_visible_and_something_masked(ratio):
    counts = drawn(MaskRequest(spread=0.5), ratio=ratio)[0].sum(dim=1)
    assert 1 <= counts.min() <= counts.max() <= PATCHES - 1
    ratios = ratios_of(MaskRequest(spread=0.5), 32, PATCHES, ratio)
    assert sum(level * count for level, count in ratios.items()) / 32 == pytest.approx(ratio)


@pytest.mark.parametrize("images", [32, 16, 4])
def test_the_most_that_is_masked_is_of_the_most_masked_images_and_of_a_whole_batch_exact(images):
    asks = Asks(
        MaskRequest(spread=0.2, share=0.5), MaskRequest(1), MaskRequest(2, "context"), MaskRequest(2, "targets")
    )
    masks = draw_masks(asks, None, 0.3, 32, torch.Generator().manual_seed(0))[:2]
    counts = torch.stack(masks).sum(dim=2).sort(dim=1, descending=True).values
    assert most_masked(asks, 0.3, 32, images) == counts[:, :images].sum()


def test_one_image_is_masked_where_a_share_is_less():
    assert drawn(MaskRequest(share=0.1), batch=2)[0].any(dim=1).sum() == 1


def test_of_one_mask_the_rest_is_the_context():
    context, targets = drawn(MaskRequest(role="context"), MaskRequest(role="targets"), ratio=0.75)
    assert (context.shape, targets.shape) == ((32, 12), (32, 1, 36))
    both = torch.cat([context, targets[:, 0]], dim=1)
    assert torch.equal(both.sort(dim=1).values, torch.arange(PATCHES).expand(32, -1))
    assert torch.equal(context, context.sort(dim=1).values)
    assert torch.equal(targets, targets.sort(dim=2).values)


class Corners:
    """Two targets of one patch each; the context is what a ratio leaves, from the other end."""

    def sample(self, batch, grid, ratio, generator):
        raise AssertionError("a masking with targets is asked for those")

    def sample_targets(self, batch, grid, ratio, generator):
        patches = grid[0] * grid[1]
        context = torch.arange(masked_count(patches, ratio), patches).expand(batch, -1)
        return context[:, self.short :], torch.tensor([[[0], [1]]]).expand(batch, -1, -1)

    short = 0


def test_a_masking_with_targets_is_asked_once_for_both():
    context, targets = drawn(MaskRequest(role="targets"), MaskRequest(role="context"), masking=Corners())[::-1]
    assert (context.shape, targets.shape) == ((32, 24), (32, 2, 1))


def test_a_context_of_another_size_is_the_maskings_fault():
    masking = Corners()
    masking.short = 1
    with pytest.raises(PluginError, match=r"sample_targets returned \[32, 23\] and \[32, 2, 1\]; allowed: \[32, 24\]"):
        drawn(MaskRequest(role="context"), masking=masking)


def test_a_method_without_masks_gets_none():
    assert drawn() == []
    assert draw_masks(Asks(MaskRequest()), None, None, 4, torch.Generator()) == []
    assert most_masked(Asks(), 0.3, 4, 4) == 0
    assert most_masked(Asks(MaskRequest()), None, 4, 4) is None


@pytest.mark.pretended
def test_nothing_waits_for_a_gpu():
    requests = (MaskRequest(spread=0.2, share=0.5), MaskRequest(1, "context"), MaskRequest(1, "targets"))
    with PretendedGpu() as gpu:
        masks = draw_masks(Asks(*requests), None, 0.3, 8, PretendedGenerator())
    assert [mask.device for mask in masks] == [DEVICE] * 3
    assert gpu.crossings == []
