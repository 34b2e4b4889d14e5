"""Whether a method reconstructs masked pixels by what it should not have of them, found by trying."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sslbench import EvaluatedModel
from sslbench_plugins.blocks.networks.patches import from_patches, to_patches
from sslbench_plugins.evaluators.reconstruction.interpolation import Grid, masked_pixels

TOLERANCE = 1e-3
"""of a reconstructed pixel, in normalised units, that rounding may change"""


class Leakage(NamedTuple):
    """What of the masked pixels reaches a method that should not have it."""

    pixels: bool
    """its reconstruction changes where they are exchanged within their patches"""
    statistics: bool
    """its reconstruction changes where they are blank"""


def find_leakage(model: EvaluatedModel, indices: Tensor, mask: Tensor, grid: Grid) -> Leakage:
    """Reconstruct some test images, the same with the pixels of every masked patch in reverse order, and with blank
    patches. ``indices`` int64 ``[B]``; ``mask`` bool ``[B, rows * cols]``, True = masked."""
    images, mask = model.images("test", indices), mask.to(model.device)
    side = images.shape[-1] // grid[0]
    patches = torch.unflatten(to_patches(images, side), 2, (-1, images.shape[1]))
    reversed_patches = from_patches(patches.flip(2).flatten(2), side, grid)
    masked = masked_pixels(mask, grid, images.shape[-1])[:, None]
    usual = reconstruct(model, images, mask)

    def differs(replacement: Tensor) -> bool:
        """Whether other masked pixels change what is reconstructed."""
        change = (reconstruct(model, torch.where(masked, replacement, images), mask) - usual).abs()
        return bool((change * masked > TOLERANCE).any())

    return Leakage(pixels=differs(reversed_patches), statistics=differs(torch.zeros_like(images)))


@torch.no_grad()
def reconstruct(model: EvaluatedModel, images: Tensor, mask: Tensor) -> Tensor:
    """Normalised float32 ``[B, 3, S, S]`` with the masked patches filled in by the method."""
    with model.autocast():
        return model.method.reconstruct(images, mask).float()
