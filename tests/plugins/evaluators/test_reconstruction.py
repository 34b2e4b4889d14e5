"""Errors of masked pixels against plain loops; what of them reaches a method; ratios that a grid cannot have."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from sslbench import UserError, build_plugin
from sslbench.testing.fakes import TinyBackbone, TinyReconstructor
from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage
from sslbench_plugins.blocks.networks.untrained import Untrained
from sslbench_plugins.evaluators.reconstruction import (
    Reconstruction,
    ReconstructionParams,
    match_statistics,
    sslbench_evaluators,
)
from sslbench_plugins.evaluators.reconstruction.interpolation import bilinear, nearest
from sslbench_plugins.methods.mae import MAE, MAEParams

HIGHEST = -10 * math.log10(1 / 255**2 / 12)


def evaluate(data, **given):
    return {m.name: m for m in Reconstruction(ReconstructionParams(**given)).evaluate(data)}


def reconstructor(fill):
    """A method whose reconstruction is ``fill(images, masked pixels)``."""

    class Reconstructor(TinyReconstructor):
        def reconstruct(self, images, mask):
            masked = mask.view(-1, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
            return torch.where(masked, fill(images, masked), images)

    return lambda seed: Reconstructor(16)


def mae(**given):
    def make(seed):
        torch.manual_seed(seed)
        backbone = ViTSmallImage(ViTParams(dim=24, depth=1, heads=2, patch_size=4), 16)
        return MAE(MAEParams(decoder_dim=16, decoder_depth=1, decoder_heads=2, **given), backbone, 16, 0.75)

    return make


def plain_psnr(true, filled, masked):
    """One image at a time, uint8 values over 255."""
    scores = []
    for t, f, m in zip(true, filled, masked, strict=True):
        squares = [
            (min(max(float(f[c, y, x]), 0.0), 1.0) - float(t[c, y, x]) / 255) ** 2
            for c in range(3)
            for y in range(16)
            for x in range(16)
            if m[y, x]
        ]
        scores.append(-10 * math.log10(max(sum(squares) / len(squares), 1 / 255**2 / 12)))
    return sum(scores) / len(scores)


@pytest.mark.parametrize("masking", ["random", "block"])
def test_values_are_those_of_the_definition(scenes, masking):
    data = scenes()
    pixels = data.model.pixels("test", torch.arange(32))
    mean, std = torch.tensor(0.4), torch.tensor(0.25)
    metrics = evaluate(data, ratios=[0.5], masking=masking)
    mask = build_plugin("masking", masking).sample(32, (4, 4), 0.5, torch.Generator().manual_seed(data.seed))
    masked = mask.view(-1, 4, 4).repeat_interleave(4, 1).repeat_interleave(4, 2)
    reconstructed = data.model.method.reconstruct((pixels / 255 - mean) / std, mask) * std + mean
    assert metrics["reconstruction_psnr@0.5"].value == pytest.approx(
        plain_psnr(pixels, reconstructed, masked), abs=1e-3
    )
    for name, baseline in (("nearest", nearest), ("bilinear", bilinear)):
        expected = plain_psnr(pixels, baseline(pixels / 255, mask, (4, 4)), masked)
        assert metrics[f"{name}_psnr@0.5"].value == pytest.approx(expected, abs=1e-3)
    assert metrics["patch_statistics_given"].value == 0
    assert {metric.unit for name, metric in metrics.items() if "psnr" in name} == {"dB"}


def test_each_image_has_its_psnr(scenes):
    for name, metric in evaluate(scenes()).items():
        if "psnr" in name:
            assert metric.per_image.shape == (32,)
            assert float(metric.per_image.mean()) == pytest.approx(metric.value)


def test_the_same_patches_are_masked_for_every_method_and_others_for_another_seed(scenes):
    first, other = evaluate(scenes()), evaluate(scenes(None, mae(norm_pix=False)))
    assert first["nearest_psnr@0.75"].value == other["nearest_psnr@0.75"].value
    assert first["reconstruction_psnr@0.75"].value != other["reconstruction_psnr@0.75"].value
    data = scenes()
    assert evaluate(replace(data, seed=1))["nearest_psnr@0.75"].value != first["nearest_psnr@0.75"].value


def test_reconstructed_values_beyond_black_and_white_are_held_within(scenes):
    dark = evaluate(scenes(None, reconstructor(lambda images, masked: torch.full_like(images, -1.6))))
    darker = evaluate(scenes(None, reconstructor(lambda images, masked: torch.full_like(images, -50.0))))
    assert darker["reconstruction_psnr@0.75"].value == pytest.approx(dark["reconstruction_psnr@0.75"].value, abs=1e-3)


def test_more_masked_patches_are_harder_for_straight_lines(scenes):
    scores = [evaluate(scenes())[f"bilinear_psnr@{ratio}"].value for ratio in (0.25, 0.5, 0.75, 0.9)]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(("norm_pix", "given"), [(True, 1), (False, 0)])
def test_statistics_of_masked_patches_that_reach_the_method_are_reported(scenes, norm_pix, given):
    metrics = evaluate(scenes(None, mae(norm_pix=norm_pix)))
    assert metrics["patch_statistics_given"].value == given
    assert not metrics["patch_statistics_given"].higher_is_better
    plain = evaluate(scenes())
    for baseline in ("nearest", "bilinear"):
        gain = metrics[f"{baseline}_psnr@0.75"].value - plain[f"{baseline}_psnr@0.75"].value
        assert (gain > 1) == bool(given)
        assert given or gain == 0


def test_a_method_that_uses_masked_pixels_has_no_value(scenes):
    metrics = evaluate(scenes(None, reconstructor(lambda images, masked: images)))
    reason = "the method reconstructs masked pixels from their own values"
    assert {(m.value, m.reason) for m in metrics.values()} == {(None, reason)}


def test_patches_get_their_mean_and_deviation():
    filled, images = torch.rand(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    filled[0, :, :4, :4] = 0.3
    out = match_statistics(filled, images, (2, 2))
    for rows in (slice(4), slice(4, 8)):
        for cols in (slice(4), slice(4, 8)):
            got, wanted, was = (part[1, :, rows, cols] for part in (out, images, filled))
            assert float(got.mean()) == pytest.approx(float(wanted.mean()), abs=1e-5)
            assert float(got.std()) == pytest.approx(float(wanted.std()), rel=1e-4)
            assert torch.corrcoef(torch.stack([got.flatten(), was.flatten()]))[0, 1] == pytest.approx(1, abs=1e-4)
    assert torch.allclose(out[0, :, :4, :4], images[0, :, :4, :4].mean().expand(3, 4, 4), atol=1e-5)


def test_a_ratio_that_the_grid_cannot_have_is_named_and_others_are_measured(scenes):
    metrics = evaluate(scenes(), ratios=[0.99, 0.5])
    assert metrics["reconstruction_psnr@0.5"].value is not None
    for name in ("reconstruction", "nearest", "bilinear"):
        assert metrics[f"{name}_psnr@0.99"].value is None
        assert "leaves 0 of 16 patches visible" in metrics[f"{name}_psnr@0.99"].reason
    none = evaluate(scenes(), ratios=[0.99])
    assert (none["patch_statistics_given"].value, none["patch_statistics_given"].reason) == (
        None,
        "nothing was reconstructed",
    )


def test_images_of_one_colour_are_exact_up_to_rounding(scenes, changed):
    blank = changed(lambda split: replace(split, images=torch.full_like(split.images, 90)))
    metrics = evaluate(scenes(blank))
    for name in ("reconstruction", "nearest", "bilinear"):
        assert metrics[f"{name}_psnr@0.75"].value == pytest.approx(HIGHEST)


def test_a_reconstruction_that_is_not_finite_has_no_value_and_baselines_have_theirs(scenes):
    metrics = evaluate(scenes(None, reconstructor(lambda images, masked: images * float("nan"))))
    assert metrics["reconstruction_psnr@0.5"].value is None
    assert metrics["reconstruction_psnr@0.5"].reason == "32 of 32 reconstructed images hold NaN or infinity"
    assert metrics["nearest_psnr@0.5"].value == evaluate(scenes())["nearest_psnr@0.5"].value


def test_fewer_images_are_spread_over_the_split(scenes):
    indices_read = []
    data = scenes()
    images = data.model.images
    data.model.images = lambda split, indices: indices_read.extend(indices.tolist()) or images(split, indices)
    metrics = evaluate(data, images=4, ratios=[0.5])
    assert set(indices_read) == {4, 12, 20, 28}
    assert metrics["reconstruction_psnr@0.5"].per_image is None


def test_a_method_without_patches_has_no_value(scenes):
    metrics = evaluate(scenes(None, lambda seed: Untrained(TinyBackbone())))
    assert {m.reason for m in metrics.values()} == {"the method has no grid of patches to mask"}


def test_the_headline_is_the_usual_ratio_or_the_first():
    (spec,) = sslbench_evaluators()
    assert spec.ranked_by(spec.params()) == "reconstruction_psnr@0.75"
    assert spec.ranked_by(spec.params(ratios="0.5+0.6")) == "reconstruction_psnr@0.5"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ratios": ()}, "name at least one"),
        ({"ratios": (0.5, 0.5)}, "name each ratio once"),
        ({"ratios": (1.0,)}, "less than 1"),
    ],
)
def test_wrong_ratios_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        ReconstructionParams(**given)


def test_an_unknown_masking_is_named_with_its_parameter():
    with pytest.raises(UserError, match="reconstruction: masking: unknown masking 'blocks'; did you mean 'block'"):
        Reconstruction(ReconstructionParams(masking="blocks"))
