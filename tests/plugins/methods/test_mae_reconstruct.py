"""Images reconstructed by MAE: visible patches unchanged, masked ones from the decoder, at any ratio."""

from __future__ import annotations

import pytest
import torch

from sslbench import BuildContext
from sslbench.contracts.method import Progress
from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage
from sslbench_plugins.blocks.networks.patches import to_patches
from sslbench_plugins.methods.mae import sslbench_methods

PROGRESS = Progress(0, 1, 0, 1)
MODES = [{"norm_pix": False}, {"norm_pix": True}, {"norm_pix": False, "mask_tokens_in_encoder": True}]


def build(ratio=0.75, **overrides):
    torch.manual_seed(0)
    backbone = ViTSmallImage(ViTParams(dim=24, depth=2, heads=2, patch_size=4), 16)
    (spec,) = sslbench_methods()
    params = spec.params(decoder_dim=16, decoder_depth=2, decoder_heads=2, **overrides)
    return spec.build(params, BuildContext(image_size=16, backbone=backbone, mask_ratio=ratio)).eval()


def masks(batch, masked):
    return torch.rand(batch, 16, generator=torch.Generator().manual_seed(1)).argsort(1) < masked


def test_it_says_so():
    (spec,) = sslbench_methods()
    assert spec.provided(spec.params()) == {"reconstruction"}


@pytest.mark.parametrize("overrides", MODES, ids=str)
@pytest.mark.parametrize("masked", [1, 4, 8, 12, 15])
def test_only_masked_patches_are_reconstructed(masked, overrides):
    method, images, mask = build(**overrides), torch.randn(3, 3, 16, 16), masks(3, masked)
    with torch.no_grad():
        reconstructed = method.reconstruct(images, mask)
    assert reconstructed.shape == images.shape
    patches, true = to_patches(reconstructed, 4), to_patches(images, 4)
    assert torch.equal(patches[~mask], true[~mask])
    assert (patches[mask] != true[mask]).all()


@pytest.mark.parametrize("overrides", MODES, ids=str)
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_the_loss_is_the_error_of_its_reconstruction(ratio, overrides):
    """With normalised targets, of the reconstructed patches normalised as the targets are."""
    method, images = build(ratio, **overrides), torch.randn(3, 3, 16, 16)
    mask = masks(3, method.masked_patches)
    with torch.no_grad():
        loss, _ = method([images], masks=[mask], progress=PROGRESS)
        reconstructed, true = to_patches(method.reconstruct(images, mask), 4), to_patches(images, 4)
    if overrides["norm_pix"]:
        mean, deviation = true.mean(-1, keepdim=True), (true.var(-1, keepdim=True) + 1e-6) ** 0.5
        reconstructed, true = (reconstructed - mean) / deviation, (true - mean) / deviation
    assert torch.allclose(loss, (reconstructed - true)[mask].square().mean(), rtol=1e-4)


def test_a_model_for_one_ratio_reconstructs_as_a_model_for_another_with_the_same_weights():
    few, many = build(0.25), build(0.75)
    many.load_state_dict(few.state_dict())
    images, mask = torch.randn(2, 3, 16, 16), masks(2, 8)
    with torch.no_grad():
        assert torch.equal(few.reconstruct(images, mask), many.reconstruct(images, mask))


@pytest.mark.parametrize("overrides", [MODES[0], MODES[2]], ids=str)
def test_masked_pixels_do_not_reach_the_reconstruction(overrides):
    method, images, mask = build(**overrides), torch.randn(2, 3, 16, 16), masks(2, 12)
    other = torch.where(mask.view(2, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3), 9.0, images)
    with torch.no_grad():
        assert torch.allclose(method.reconstruct(images, mask), method.reconstruct(other, mask), atol=1e-5)


def test_with_normalised_targets_all_that_reaches_it_is_each_patchs_mean_and_deviation():
    method, images, mask = build(norm_pix=True), torch.randn(2, 3, 16, 16), masks(2, 12)
    pixels = mask.view(2, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    with torch.no_grad():
        reconstructed = method.reconstruct(images, mask)
        turned = torch.where(pixels, images.unflatten(2, (4, 4)).flip(3).flatten(2, 3), images)
        assert not torch.equal(turned, images)
        assert torch.allclose(method.reconstruct(turned, mask), reconstructed, atol=1e-4)
        brighter = method.reconstruct(torch.where(pixels, 2 * images + 1, images), mask)
        assert torch.allclose(brighter, torch.where(pixels, 2 * reconstructed + 1, reconstructed), atol=1e-3)
