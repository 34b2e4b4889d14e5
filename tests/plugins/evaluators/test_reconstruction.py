"""Errors of hidden pixels against plain loops; who is told what; ratios that a grid cannot have."""

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
    sslbench_evaluators,
    with_statistics,
)
from sslbench_plugins.evaluators.reconstruction.inpainting import bilinear, nearest
from sslbench_plugins.methods.mae import MAE, MAEParams

HIGHEST = -10 * math.log10(1 / 255**2 / 12)


def evaluate(data, **given):
    return {m.name: m for m in Reconstruction(ReconstructionParams(**given)).evaluate(data)}


def painter(paint):
    """A method that paints by ``paint(images, hidden pixels)``."""

    class Painter(TinyReconstructor):
        def reconstruct(self, images, mask):
            hidden = mask.view(-1, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
            return torch.where(hidden, paint(images, hidden), images)

    return lambda seed: Painter(16)


def mae(**given):
    def make(seed):
        torch.manual_seed(seed)
        backbone = ViTSmallImage(ViTParams(dim=24, depth=1, heads=2, patch_size=4), 16)
        return MAE(MAEParams(decoder_dim=16, decoder_depth=1, decoder_heads=2, **given), backbone, 16, 0.75)

    return make


def plain_psnr(true, filled, hidden):
    """One image at a time, uint8 values over 255."""
    found = []
    for t, f, h in zip(true, filled, hidden, strict=True):
        squares = [
            (min(max(float(f[c, y, x]), 0.0), 1.0) - float(t[c, y, x]) / 255) ** 2
            for c in range(3)
            for y in range(16)
            for x in range(16)
            if h[y, x]
        ]
        found.append(-10 * math.log10(max(sum(squares) / len(squares), 1 / 255**2 / 12)))
    return sum(found) / len(found)


@pytest.mark.parametrize("masking", ["random", "block"])
def test_figures_follow_the_definition(scenes, masking):
    data = scenes()
    pixels = data.model.pixels("test", torch.arange(32))
    mean, std = torch.tensor(0.4), torch.tensor(0.25)
    found = evaluate(data, ratios=[0.5], masking=masking)
    mask = build_plugin("masking", masking).sample(32, (4, 4), 0.5, torch.Generator().manual_seed(data.seed))
    hidden = mask.view(-1, 4, 4).repeat_interleave(4, 1).repeat_interleave(4, 2)
    painted = data.model.method.reconstruct((pixels / 255 - mean) / std, mask) * std + mean
    assert found["reconstruction_psnr@0.5"].value == pytest.approx(plain_psnr(pixels, painted, hidden), abs=1e-3)
    for name, fill in (("nearest", nearest), ("bilinear", bilinear)):
        expected = plain_psnr(pixels, fill(pixels / 255, mask, (4, 4)), hidden)
        assert found[f"{name}_psnr@0.5"].value == pytest.approx(expected, abs=1e-3)
    assert found["patch_statistics_given"].value == 0
    assert {metric.unit for name, metric in found.items() if "psnr" in name} == {"dB"}


def test_each_image_is_told(scenes):
    for name, metric in evaluate(scenes()).items():
        if "psnr" in name:
            assert metric.per_image.shape == (32,)
            assert float(metric.per_image.mean()) == pytest.approx(metric.value)


def test_the_same_patches_are_hidden_for_every_method_and_others_for_another_seed(scenes):
    first, other = evaluate(scenes()), evaluate(scenes(None, mae(norm_pix=False)))
    assert first["nearest_psnr@0.75"].value == other["nearest_psnr@0.75"].value
    assert first["reconstruction_psnr@0.75"].value != other["reconstruction_psnr@0.75"].value
    data = scenes()
    assert evaluate(replace(data, seed=1))["nearest_psnr@0.75"].value != first["nearest_psnr@0.75"].value


def test_painted_values_beyond_black_and_white_are_held_within(scenes):
    dark = evaluate(scenes(None, painter(lambda images, hidden: torch.full_like(images, -1.6))))
    darker = evaluate(scenes(None, painter(lambda images, hidden: torch.full_like(images, -50.0))))
    assert darker["reconstruction_psnr@0.75"].value == pytest.approx(dark["reconstruction_psnr@0.75"].value, abs=1e-3)


def test_more_that_is_hidden_is_harder_for_straight_lines(scenes):
    found = [evaluate(scenes())[f"bilinear_psnr@{ratio}"].value for ratio in (0.25, 0.5, 0.75, 0.9)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("norm_pix", "given"), [(True, 1), (False, 0)])
def test_statistics_of_hidden_patches_that_reach_the_method_are_told(scenes, norm_pix, given):
    found = evaluate(scenes(None, mae(norm_pix=norm_pix)))
    assert found["patch_statistics_given"].value == given
    assert not found["patch_statistics_given"].higher_is_better
    plain = evaluate(scenes())
    for rival in ("nearest", "bilinear"):
        gain = found[f"{rival}_psnr@0.75"].value - plain[f"{rival}_psnr@0.75"].value
        assert (gain > 1) == bool(given)
        assert given or gain == 0


def test_a_method_that_looks_at_hidden_pixels_has_no_figure(scenes):
    found = evaluate(scenes(None, painter(lambda images, hidden: images)))
    reason = "the method paints by the very pixels that are hidden"
    assert {(m.value, m.reason) for m in found.values()} == {(None, reason)}


def test_patches_get_their_mean_and_deviation():
    filled, images = torch.rand(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    filled[0, :, :4, :4] = 0.3
    out = with_statistics(filled, images, 4, (2, 2))
    for rows in (slice(4), slice(4, 8)):
        for cols in (slice(4), slice(4, 8)):
            got, wanted, was = (part[1, :, rows, cols] for part in (out, images, filled))
            assert float(got.mean()) == pytest.approx(float(wanted.mean()), abs=1e-5)
            assert float(got.std()) == pytest.approx(float(wanted.std()), rel=1e-4)
            assert torch.corrcoef(torch.stack([got.flatten(), was.flatten()]))[0, 1] == pytest.approx(1, abs=1e-4)
    assert torch.allclose(out[0, :, :4, :4], images[0, :, :4, :4].mean().expand(3, 4, 4), atol=1e-5)


def test_a_ratio_that_the_grid_cannot_have_is_told_and_others_are_measured(scenes):
    found = evaluate(scenes(), ratios=[0.99, 0.5])
    assert found["reconstruction_psnr@0.5"].value is not None
    for name in ("reconstruction", "nearest", "bilinear"):
        assert found[f"{name}_psnr@0.99"].value is None
        assert "leaves 0 of 16 patches visible" in found[f"{name}_psnr@0.99"].reason
    none = evaluate(scenes(), ratios=[0.99])
    assert (none["patch_statistics_given"].value, none["patch_statistics_given"].reason) == (
        None,
        "nothing was painted",
    )


def test_images_of_one_colour_are_exact_up_to_rounding(scenes, changed):
    blank = changed(lambda split: replace(split, images=torch.full_like(split.images, 90)))
    found = evaluate(scenes(blank))
    for name in ("reconstruction", "nearest", "bilinear"):
        assert found[f"{name}_psnr@0.75"].value == pytest.approx(HIGHEST)


def test_paint_that_is_no_number_is_no_figure_and_rivals_have_theirs(scenes):
    found = evaluate(scenes(None, painter(lambda images, hidden: images * float("nan"))))
    assert found["reconstruction_psnr@0.5"].value is None
    assert found["reconstruction_psnr@0.5"].reason == "32 of 32 painted images hold NaN or infinity"
    assert found["nearest_psnr@0.5"].value == evaluate(scenes())["nearest_psnr@0.5"].value


def test_fewer_images_are_spread_over_the_split(scenes):
    asked = []
    data = scenes()
    images = data.model.images
    data.model.images = lambda split, indices: asked.extend(indices.tolist()) or images(split, indices)
    found = evaluate(data, images=4, ratios=[0.5])
    assert set(asked) == {4, 12, 20, 28}
    assert found["reconstruction_psnr@0.5"].per_image is None


def test_a_method_without_patches_is_told(scenes):
    found = evaluate(scenes(None, lambda seed: Untrained(TinyBackbone())))
    assert {m.reason for m in found.values()} == {"the method has no grid of patches to hide"}


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


def test_an_unknown_masking_is_named_with_its_place():
    with pytest.raises(UserError, match="reconstruction: masking: unknown masking 'blocks'; did you mean 'block'"):
        Reconstruction(ReconstructionParams(masking="blocks"))
