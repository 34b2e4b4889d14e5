"""Patch tokens of a trained model that stays as it is, and linear heads on them, up to the pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sslbench import EvaluatedModel, TokenBackbone

BATCH = 64
"""images whose tokens and maps are held at once"""
LARGEST = 1e15
"""tokens beyond this have squares whose sums float32 cannot hold"""
HELD_OUT = 0.2
"""share of the training images that a regularisation is chosen on"""
SplitName = Literal["train", "test"]


def why_no_tokens(model: EvaluatedModel | None) -> str:
    """Empty where the encoder is made of tokens; else one line."""
    if model is None:
        return "the evaluator was given no model"
    if not isinstance(model.method.encoder, TokenBackbone):
        return f"the encoder, a {type(model.method.encoder).__name__}, gives no tokens"
    return ""


@torch.no_grad()
def patch_tokens(model: EvaluatedModel, split: SplitName, indices: Tensor) -> Tensor:
    """float32 ``[B, D, rows, cols]``: the patches' tokens after the encoder's last norm, computed in the precision of
    the run; ``indices`` int64 ``[B]``."""
    encoder = model.method.encoder
    assert isinstance(encoder, TokenBackbone)
    images = model.images(split, indices)
    with model.autocast():
        tokens = encoder.encode(encoder.embed(images))[:, encoder.prefix_tokens :]
    return tokens.float().mT.unflatten(2, (images.shape[2] // encoder.patch_size, -1))


def at_pixels(tokens: Tensor, places: Tensor, size: int) -> Tensor:
    """Tokens bilinearly interpolated to the centres of pixels, as ``interpolate(align_corners=False)`` does.

    ``tokens`` ``[B, D, rows, cols]``; ``places`` int64 ``[B, n]``, row-major in an image of ``size`` pixels. Answers
    ``[B, n, D]``. A linear layer on these has the logits that it has on the tokens, interpolated.
    """
    row, col = places // size, places % size
    grid = (torch.stack([col, row], dim=-1) * 2 + 1).to(tokens) / size - 1
    found = functional.grid_sample(tokens, grid[:, None], "bilinear", "border", align_corners=False)
    return found[:, :, 0].mT


class Pixels(NamedTuple):
    """Some pixels of the training images."""

    features: Tensor
    """float32 ``[M, D]``: their interpolated tokens"""
    values: Tensor
    """``[M]``: what the map says of them"""
    held: Tensor
    """bool ``[M]``: of an image that is held out to choose by; the pixels of an image stay together"""


def draw_pixels(
    model: EvaluatedModel,
    read: Callable[[Tensor], Tensor],
    known: Callable[[Tensor], Tensor],
    images: Tensor,
    pixels: int,
    seed: int,
) -> Pixels:
    """About ``pixels`` random pixels with known values, as many from each of the training images at ``images``.

    ``read``: int64 ``[B]`` -> the images' maps ``[B, S, S]``; ``known``: maps -> bool of their shape. Image and
    places depend on ``seed`` and the maps alone: they are the same for every method.
    """
    size, count = model.image_size, len(images)
    generator = torch.Generator().manual_seed(seed)
    each = min(max(1, pixels // count), size * size)
    held = torch.zeros(count, dtype=torch.bool)
    held[torch.randperm(count, generator=generator)[: min(max(1, round(HELD_OUT * count)), count - 1)]] = True
    parts = []
    for rows in torch.arange(count).split(BATCH):
        maps = read(images[rows]).flatten(1)
        keys = torch.rand(maps.shape, generator=generator).to(maps.device)
        order = keys.masked_fill_(~known(maps), 2.0).topk(each, dim=1, largest=False)
        found = order.values < 2
        features = at_pixels(patch_tokens(model, "train", images[rows]), order.indices, size)
        of_held = held[rows].to(maps.device)[:, None].expand_as(found)
        parts.append((features[found], maps.gather(1, order.indices)[found], of_held[found]))
    return Pixels(*(torch.cat(part) for part in zip(*parts, strict=True)))


class LinearHead(NamedTuple):
    """A linear layer on tokens as they are."""

    weight: Tensor
    """``[C, D]``"""
    bias: Tensor
    """``[C]``"""

    def at_pixels(self, tokens: Tensor, size: int) -> Tensor:
        """``[B, D, rows, cols]`` -> ``[B, C, size, size]``: answers for the tokens, interpolated bilinearly."""
        answers = functional.conv2d(tokens, self.weight[:, :, None, None], self.bias)
        return functional.interpolate(answers, (size, size), mode="bilinear", align_corners=False)


def why_not_numbers(tokens: Tensor, of: str) -> str:
    """Empty where tokens, ``[..., D]``, can be squared and added up; else one line. ``of`` says whose they are."""
    vectors = tokens.flatten(0, -2)
    bad = int((~(vectors.abs() <= LARGEST)).any(dim=1).sum())
    return f"{bad} of {len(vectors)} {of} token vectors hold NaN, infinity or more than {LARGEST:.0e}" if bad else ""
