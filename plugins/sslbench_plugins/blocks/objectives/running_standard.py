"""Features standardised by the mean and variance of all that were seen so far."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sslbench import mean_over_ranks


class RunningStandard(nn.Module):
    """Mean 0 and variance 1 in every dimension, over all batches of all ranks since the start, this one included. What
    it knows are buffers, so a checkpoint holds it."""

    mean: Tensor
    """float32 ``[D]``"""
    square: Tensor
    """mean of the squares, float32 ``[D]``"""
    batches: Tensor
    """scalar, how many were seen"""

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("square", torch.zeros(dim))
        self.register_buffer("batches", torch.zeros(()))

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        """``[B, D]`` -> ``[B, D]`` in float32, without gradients. Only in training mode does it learn from them."""
        features = features.float()
        if self.training:
            mean, square = mean_over_ranks(torch.stack([features.mean(dim=0), features.square().mean(dim=0)]))
            self.batches += 1
            self.mean.lerp_(mean, 1 / self.batches)
            self.square.lerp_(square, 1 / self.batches)
        variance = (self.square - self.mean.square()).clamp(min=0)
        return (features - self.mean) * (variance + self.eps).rsqrt()
