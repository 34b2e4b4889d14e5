from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from sslbench.testing.fakes import TinyBackbone, evaluated_scenes
from sslbench.train.checkpoint import weights_digest
from sslbench_plugins.blocks.networks.untrained import Untrained
from sslbench_plugins.blocks.probes.evaluable import Unmeasurable, model_of, why_not_squarable
from sslbench_plugins.blocks.probes.frozen_tokens import (
    TokenHead,
    patch_tokens,
    sample_pixels,
    token_encoder,
    tokens_at_pixels,
)
from sslbench_plugins.blocks.probes.linear_maps import Standardiser

ALL = torch.arange(64)


@pytest.mark.parametrize(("grid", "size"), [((4, 4), 16), ((3, 3), 21), ((1, 1), 5), ((8, 8), 8)])
def test_pixels_get_the_tokens_that_interpolate_gives_them(grid, size):
    tokens = torch.randn(2, 5, *grid)
    whole = functional.interpolate(tokens, (size, size), mode="bilinear", align_corners=False)
    indices = torch.randint(0, size * size, (2, 9))
    expected = whole.flatten(2).gather(2, indices[:, None].expand(-1, 5, -1)).mT
    assert torch.allclose(tokens_at_pixels(tokens, indices, size), expected, atol=1e-5)


def test_a_head_returns_at_pixels_what_it_returns_on_their_interpolated_tokens():
    """What makes fitting on random pixels the same model as the one that is scored."""
    tokens, head = torch.randn(2, 5, 4, 4), TokenHead(torch.randn(3, 5), torch.randn(3))
    indices = torch.arange(144).expand(2, -1)
    expected = tokens_at_pixels(tokens, indices, 12) @ head.weight.T + head.bias
    assert torch.allclose(head.at_pixels(tokens, 12).flatten(2).mT, expected, atol=1e-5)


def test_tokens_are_those_of_the_encoder_in_their_order():
    model = evaluated_scenes().model
    before = weights_digest(model.method)
    tokens = patch_tokens(model, "test", torch.tensor([3, 1]))
    encoder = model.method.encoder
    with torch.no_grad():
        expected = encoder.encode(encoder.embed(model.images("test", torch.tensor([3, 1]))))[:, 1:]
    assert tokens.shape == (2, 16, 4, 4)
    assert torch.equal(tokens[1, :, 2, 3], expected[1, 2 * 4 + 3])
    assert not tokens.requires_grad
    assert (weights_digest(model.method), model.method.training) == (before, False)


def sampled(images=ALL, pixels=640, seed=0, known=None, name="depth"):
    model = evaluated_scenes().model
    return sample_pixels(
        model,
        lambda indices: model.maps("train", name, indices),
        known or (lambda maps: torch.ones_like(maps, dtype=torch.bool)),
        images,
        pixels,
        seed,
    )


def test_each_image_gives_as_many_pixels_each_once_and_images_are_held_out_whole():
    pixels = sampled()
    assert pixels.features.shape == (640, 16)
    by_image = pixels.held_out.view(64, 10)
    assert bool((by_image == by_image[:, :1]).all())
    assert int(by_image[:, 0].sum()) == 13


def test_drawn_tokens_and_values_belong_to_one_pixel():
    """Depth is a straight line down the image, so a value identifies the row of its pixel."""
    model = evaluated_scenes().model
    pixels = sampled(pixels=64 * 256)
    whole = patch_tokens(model, "train", ALL)
    interpolated = functional.interpolate(whole, (16, 16), mode="bilinear", align_corners=False)
    depth = torch.linspace(0, 1, 16).repeat_interleave(16)
    for image in (0, 63):
        rows = slice(image * 256, (image + 1) * 256)
        exact = "donot_use_mm_for_euclid_dist"
        same = torch.cdist(pixels.features[rows], interpolated[image].flatten(1).mT, compute_mode=exact) < 1e-4
        assert same.any(dim=1).all()
        # Beyond the outermost centres tokens are the same, so a drawn one may be of either row.
        assert (same & (pixels.values[rows, None] == depth)).any(dim=1).all()
        assert same.sum(dim=1).min() == 1


def test_the_draw_depends_on_the_seed_and_not_the_number_of_batches(monkeypatch):
    from sslbench_plugins.blocks.probes import frozen_tokens

    first = sampled()
    assert all(torch.equal(a, b) for a, b in zip(first, sampled(), strict=True))
    assert not torch.equal(first.values, sampled(seed=1).values)
    monkeypatch.setattr(frozen_tokens, "BATCH", 7)
    assert torch.equal(sampled().values, first.values)


def test_unknown_pixels_are_not_drawn_and_an_image_without_known_ones_gives_none():
    pixels = sampled(known=lambda maps: maps > 0.5)
    assert float(pixels.values.min()) > 0.5
    assert len(pixels.values) == 640
    few = sampled(known=lambda maps: maps > 0.99, pixels=64 * 100)
    assert len(few.values) == 64 * 16
    assert len(sampled(known=lambda maps: maps > 2).values) == 0


def test_two_images_are_enough_to_hold_one_out():
    held_out = sampled(torch.tensor([4, 9]), pixels=20).held_out
    assert sorted(held_out.view(2, 10).all(dim=1).tolist()) == [False, True]


def test_more_pixels_than_there_are_is_all_of_them():
    assert len(sampled(torch.tensor([0, 1]), pixels=10_000).values) == 512


def test_standardising_can_be_undone_in_the_head():
    features = torch.randn(50, 5) * torch.tensor([1.0, 10.0, 0.1, 3.0, 0.0]) + 4
    standardise = Standardiser.fitted(features)
    weight, bias = torch.randn(3, 5), torch.randn(3)
    undone = standardise.undone(weight, bias)
    expected = standardise(features) @ weight.T + bias
    assert torch.allclose(features @ undone[0].T + undone[1], expected, atol=1e-4)


def test_what_cannot_be_squared_is_reported():
    tokens = torch.zeros(2, 3, 4)
    assert why_not_squarable(tokens, "test token") == ""
    tokens[0, 1, 2], tokens[1, 2, 0], tokens[1, 2, 1] = float("nan"), float("inf"), 1e20
    assert why_not_squarable(tokens, "test token") == "2 of 6 test token vectors hold NaN, infinity or more than 1e+15"


def test_an_encoder_without_tokens_is_named():
    model = evaluated_scenes().model
    assert token_encoder(model) is model.method.encoder
    with pytest.raises(Unmeasurable, match="the encoder, a TinyBackbone, gives no tokens"):
        token_encoder(evaluated_scenes(Untrained(TinyBackbone())).model)


def test_an_evaluator_without_a_model_says_so():
    with pytest.raises(Unmeasurable, match="the evaluator was given no model"):
        model_of(replace(evaluated_scenes(), model=None))
