"""Stochastic depth: residual branches left out at random while training (Huang et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """``[B, ...]`` -> the same shape: while training, each sample is zero with probability ``rate`` and else divided by
    ``1 - rate``; in eval mode the branch as it is. Draws from torch's global generator."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training:
            return branch
        keep = 1 - self.rate
        shape = [len(branch), *[1] * (branch.ndim - 1)]
        return branch * torch.empty(shape, device=branch.device, dtype=branch.dtype).bernoulli_(keep).div_(keep)


def depth_rates(rate: float, blocks: int) -> list[float]:
    """Rates from 0 in the first block to ``rate`` in the last in equal steps, as DINO's `vision_transformer.py`."""
    return [rate * block / max(1, blocks - 1) for block in range(blocks)]


def skip(rate: float) -> nn.Module:
    """``StochasticDepth``, or the identity where ``rate`` is 0."""
    return StochasticDepth(rate) if rate else nn.Identity()
