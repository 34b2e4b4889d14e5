"""What the ranks of a distributed training exchange; without a process group there is one rank.

``DistributedDataParallel`` averages gradients over the ranks. So where every rank's loss is the mean over its own
images, N ranks of B images take the gradient of one rank of N * B.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def ranks() -> int:
    """Number of ranks that train together; 1 without a process group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """The number of this rank, from 0."""
    return distributed.get_rank() if ranks() > 1 else 0


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        parts = [torch.empty_like(local) for _ in range(ranks())]
        distributed.all_gather(parts, local.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Every rank's loss depends on this rank's rows.
        gradient = gradient.contiguous()
        distributed.all_reduce(gradient)
        return gradient.chunk(ranks())[rank()]


def gathered(local: Tensor) -> Tensor:
    """``[B, ...]`` -> ``[ranks * B, ...]`` in the order of the ranks; each rank's gradient flows back to it."""
    return local if ranks() == 1 else _Gather.apply(local)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        total = local.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient


def mean_over_ranks(local: Tensor) -> Tensor:
    """The mean of a tensor of equal shape on every rank, with gradients."""
    return local if ranks() == 1 else _Sum.apply(local) / ranks()
