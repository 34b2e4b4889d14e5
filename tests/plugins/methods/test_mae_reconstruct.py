"""Images painted by MAE: visible patches as given, hidden ones from the decoder, at any ratio."""

from __future__ import annotations

import pytest
import torch

from sslbench.contracts.method import Progress
from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage
from sslbench_plugins.blocks.networks.patches import to_patches
from sslbench_plugins.methods.mae import MAE, MAEParams, sslbench_methods

PROGRESS = Progress(0, 1, 0, 1)
MODES = [{"norm_pix": False}, {"norm_pix": True}, {"norm_pix": False, "mask_tokens_in_encoder": True}]


def build(ratio=0.75, **given):
    torch.manual_seed(0)
    backbone = ViTSmallImage(ViTParams(dim=24, depth=2, heads=2, patch_size=4), 16)
    return MAE(MAEParams(decoder_dim=16, decoder_depth=2, decoder_heads=2, **given), backbone, 16, ratio).eval()


def masks(batch, hidden):
    return torch.rand(batch, 16, generator=torch.Generator().manual_seed(1)).argsort(1) < hidden


def test_it_says_so():
    (spec,) = sslbench_methods()
    assert spec.provided(spec.params()) == {"reconstruction"}


@pytest.mark.parametrize("given", MODES, ids=str)
@pytest.mark.parametrize("hidden", [1, 4, 8, 12, 15])
def test_only_hidden_patches_are_painted(hidden, given):
    method, images, mask = build(**given), torch.randn(3, 3, 16, 16), masks(3, hidden)
    with torch.no_grad():
        painted = method.reconstruct(images, mask)
    assert painted.shape == images.shape
    patches, given_patches = to_patches(painted, 4), to_patches(images, 4)
    assert torch.equal(patches[~mask], given_patches[~mask])
    assert (patches[mask] != given_patches[mask]).all()


@pytest.mark.parametrize("given", MODES, ids=str)
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_the_loss_is_the_error_of_what_it_paints(ratio, given):
    """With normalised targets, of the painted patches normalised as the targets are."""
    method, images = build(ratio, **given), torch.randn(3, 3, 16, 16)
    mask = masks(3, method.hidden)
    with torch.no_grad():
        loss, _ = method([images], mask=mask, progress=PROGRESS)
        painted, true = to_patches(method.reconstruct(images, mask), 4), to_patches(images, 4)
    if given["norm_pix"]:
        mean, deviation = true.mean(-1, keepdim=True), (true.var(-1, keepdim=True) + 1e-6) ** 0.5
        painted, true = (painted - mean) / deviation, (true - mean) / deviation
    assert torch.allclose(loss, (painted - true)[mask].square().mean(), rtol=1e-4)


def test_a_model_for_one_ratio_paints_as_a_model_for_another_with_the_same_weights():
    few, many = build(0.25), build(0.75)
    many.load_state_dict(few.state_dict())
    images, mask = torch.randn(2, 3, 16, 16), masks(2, 8)
    with torch.no_grad():
        assert torch.equal(few.reconstruct(images, mask), many.reconstruct(images, mask))


@pytest.mark.parametrize("given", [MODES[0], MODES[2]], ids=str)
def test_hidden_pixels_do_not_reach_the_painting(given):
    method, images, mask = build(**given), torch.randn(2, 3, 16, 16), masks(2, 12)
    other = torch.where(mask.view(2, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3), 9.0, images)
    with torch.no_grad():
        assert torch.allclose(method.reconstruct(images, mask), method.reconstruct(other, mask), atol=1e-5)


def test_with_normalised_targets_all_that_reaches_it_is_each_patchs_mean_and_deviation():
    method, images, mask = build(norm_pix=True), torch.randn(2, 3, 16, 16), masks(2, 12)
    hidden = mask.view(2, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    with torch.no_grad():
        painted = method.reconstruct(images, mask)
        turned = torch.where(hidden, images.unflatten(2, (4, 4)).flip(3).flatten(2, 3), images)
        assert not torch.equal(turned, images)
        assert torch.allclose(method.reconstruct(turned, mask), painted, atol=1e-4)
        brighter = method.reconstruct(torch.where(hidden, 2 * images + 1, images), mask)
        assert torch.allclose(brighter, torch.where(hidden, 2 * painted + 1, painted), atol=1e-3)
