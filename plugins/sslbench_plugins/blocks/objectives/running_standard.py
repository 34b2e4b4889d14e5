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
    variance: Tensor
    """float32 ``[D]``"""
    batches: Tensor
    """scalar, how many were seen"""

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.zeros(dim))
        self.register_buffer("batches", torch.zeros(()))

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        """``[B, D]`` -> ``[B, D]`` in float32, without gradients. Only in training mode does it learn from them."""
        features = features.float()
        if self.training:
            own = features.mean(dim=0)
            mean = mean_over_ranks(own)
            variance = mean_over_ranks(features.var(dim=0, unbiased=False) + (own - mean).square())
            self.batches += 1
            share, change = 1 / self.batches, mean - self.mean
            # Chan, Golub, LeVeque 1983: without the difference of two large numbers.
            self.variance.lerp_(variance, share).add_(change.square() * share * (1 - share))
            self.mean.add_(change * share)
        return (features - self.mean) * (self.variance + self.eps).rsqrt()
