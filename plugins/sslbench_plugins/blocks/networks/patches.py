"""Images cut into square patches, and back; some of the patches of each image."""

from __future__ import annotations

from torch import Tensor


def to_patches(images: Tensor, size: int) -> Tensor:
    """``[B, C, H, W]`` -> ``[B, (H/size) * (W/size), size * size * C]``, row-major, channel fastest."""
    batch, channels, height, width = images.shape
    rows, cols = height // size, width // size
    cut = images.reshape(batch, channels, rows, size, cols, size)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * cols, size * size * channels)


def from_patches(patches: Tensor, size: int, grid: tuple[int, int]) -> Tensor:
    """The inverse of ``to_patches`` for a grid of (rows, cols)."""
    rows, cols = grid
    batch, _, length = patches.shape
    channels = length // (size * size)
    cut = patches.reshape(batch, rows, cols, size, size, channels)
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, rows * size, cols * size)


def gather(tokens: Tensor, indices: Tensor) -> Tensor:
    """``[B, N, D]``, int64 ``[B, n]`` -> ``[B, n, D]``."""
    return tokens.gather(1, indices.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
