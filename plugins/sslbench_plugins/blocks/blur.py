"""Gaussian blur of a batch, each sample with its own sigma, as two matrix products."""

from __future__ import annotations

import torch
from torch import Tensor


def blur_weights(sigma: Tensor, kernel: int, size: int) -> Tensor:
    """float32 ``[B, size, size]``: a Gaussian of ``kernel`` taps at every place, mirrored at the borders.

    Equal to torchvision's ``gaussian_blur`` in one dimension (reflect padding). ``kernel``: odd, below ``2 * size``.
    """
    half = kernel // 2
    taps = torch.arange(-half, half + 1, device=sigma.device)
    weights = torch.exp(-0.5 * (taps / sigma.view(-1, 1)).square())
    weights = weights / weights.sum(dim=1, keepdim=True)
    source = (torch.arange(size, device=sigma.device).view(-1, 1) + taps).abs()
    source = (size - 1) - ((size - 1) - source).abs()
    matrix = torch.zeros(len(sigma), size, size, device=sigma.device)
    return matrix.scatter_add_(2, source.expand(len(sigma), -1, -1), weights.unsqueeze(1).expand(-1, size, -1))


def blur(images: Tensor, sigma: Tensor, kernel: int) -> Tensor:
    """``[B, C, S, S]``, sigma ``[B]`` in pixels -> the same shape."""
    weights = blur_weights(sigma, kernel, images.shape[-1]).unsqueeze(1)
    return weights @ images @ weights.transpose(2, 3)
