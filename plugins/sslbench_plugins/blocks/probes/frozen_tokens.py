"""Patch tokens of a trained model that stays frozen, and linear heads on them, up to the pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from sslbench import EvaluatedModel, EvaluationData, SplitName, TokenBackbone
from sslbench_plugins.blocks.probes.evaluable import Unmeasurable, model_of, require, why_not_squarable

BATCH = 64
"""images whose tokens and maps are in memory at once"""
HELD_OUT = 0.2
"""share of the training images that a regularisation is chosen on"""


def token_encoder(model: EvaluatedModel) -> TokenBackbone:
    """The model's encoder. Raises Unmeasurable where it is not made of tokens."""
    encoder = model.method.encoder
    if not isinstance(encoder, TokenBackbone):
        raise Unmeasurable(f"the encoder, a {type(encoder).__name__}, gives no tokens")
    return encoder


@torch.no_grad()
def patch_tokens(model: EvaluatedModel, split: SplitName, indices: Tensor) -> Tensor:
    """float32 ``[B, D, rows, cols]``: patches after the encoder's last norm, computed in the precision of the run."""
    encoder = token_encoder(model)
    images = model.images(split, indices)
    with model.autocast():
        tokens = encoder.encode(encoder.embed(images))[:, encoder.prefix_tokens :]
    return torch.unflatten(tokens.float().mT, 2, (images.shape[2] // encoder.patch_size, -1))


def tokens_at_pixels(tokens: Tensor, pixels: Tensor, size: int) -> Tensor:
    """Tokens bilinearly interpolated to the centres of pixels, as ``interpolate(align_corners=False)`` does.

    ``tokens`` ``[B, D, rows, cols]``; ``pixels`` int64 ``[B, n]``, row-major in an image of ``size`` pixels. Returns
    ``[B, n, D]``. A linear layer on these has the logits that it has on the tokens, interpolated.
    """
    row, col = pixels // size, pixels % size
    grid = (torch.stack([col, row], dim=-1) * 2 + 1).to(tokens) / size - 1
    interpolated = F.grid_sample(tokens, grid[:, None], "bilinear", "border", align_corners=False)
    return interpolated[:, :, 0].mT


class SampledPixels(NamedTuple):
    """Some pixels of the training images."""

    features: Tensor
    """float32 ``[M, D]``: their interpolated tokens"""
    values: Tensor
    """``[M]``: their values in the map"""
    held_out: Tensor
    """bool ``[M]``: of an image that is held out to choose by; the pixels of an image stay together"""

    def require_fittable(self, value: str) -> None:
        """Raises Unmeasurable where all or none are held out, or tokens are no numbers; ``value``: what is known."""
        if bool(self.held_out.all()) or not bool(self.held_out.any()):
            raise Unmeasurable(f"too few training images have {value} to hold some out and choose the regularisation")
        require(why_not_squarable(self.features, "training token"))


def sample_pixels(
    model: EvaluatedModel,
    read: Callable[[Tensor], Tensor],
    known: Callable[[Tensor], Tensor],
    images: Tensor,
    pixels: int,
    seed: int,
) -> SampledPixels:
    """About ``pixels`` random pixels with known values, as many from each of the training images at ``images``.

    ``read``: int64 ``[B]`` -> the images' maps ``[B, S, S]``; ``known``: maps -> bool of their shape. Which images
    and pixels depends on ``seed`` and the maps alone: they are the same for every method.
    """
    size, count = model.image_size, len(images)
    generator = torch.Generator().manual_seed(seed)
    per_image = min(max(1, pixels // count), size * size)
    held_out = _held_out_images(count, generator)
    batches = []
    for rows in torch.split(torch.arange(count), BATCH):
        maps = read(images[rows]).flatten(1)
        keys = torch.rand(maps.shape, generator=generator).to(maps.device)
        order = keys.masked_fill_(~known(maps), 2.0).topk(per_image, dim=1, largest=False)
        is_known = order.values < 2
        features = tokens_at_pixels(patch_tokens(model, "train", images[rows]), order.indices, size)
        of_held_out = held_out[rows].to(maps.device)[:, None].expand_as(is_known)
        batches.append((features[is_known], maps.gather(1, order.indices)[is_known], of_held_out[is_known]))
    return SampledPixels(*(torch.cat(parts) for parts in zip(*batches, strict=True)))


def _held_out_images(count: int, generator: Generator) -> Tensor:
    """bool ``[count]``: a random ``HELD_OUT`` of the images, at least one and not all."""
    held_out = torch.zeros(count, dtype=torch.bool)
    held_out[torch.randperm(count, generator=generator)[: min(max(1, round(HELD_OUT * count)), count - 1)]] = True
    return held_out


class TokenHead(NamedTuple):
    """A linear layer on tokens as they are, not standardised, whose outputs are held within a range."""

    weight: Tensor
    """``[C, D]``"""
    bias: Tensor
    """``[C]``"""
    lowest: float = -torch.inf
    highest: float = torch.inf

    def at_pixels(self, tokens: Tensor, size: int) -> Tensor:
        """``[B, D, rows, cols]`` -> ``[B, C, size, size]``: outputs of the layer, interpolated bilinearly."""
        outputs = F.conv2d(tokens, self.weight[:, :, None, None], self.bias)
        outputs = F.interpolate(outputs, (size, size), mode="bilinear", align_corners=False)
        return outputs.clamp(self.lowest, self.highest)

    def at_test_images(self, model: EvaluatedModel, indices: Tensor) -> Tensor:
        """``[B, C, S, S]``: outputs at pixels of test images. Raises Unmeasurable for tokens that are no numbers."""
        tokens = patch_tokens(model, "test", indices)
        require(why_not_squarable(tokens.movedim(1, -1), "test token"))
        return self.at_pixels(tokens, model.image_size)

    def on_test_images(self, data: EvaluationData) -> Iterator[tuple[Tensor, Tensor]]:
        """Indices of all test images, a batch at a time, and ``at_test_images`` of them."""
        model = model_of(data)
        for indices in torch.split(torch.arange(len(data.test.features)), BATCH):
            yield indices, self.at_test_images(model, indices)
