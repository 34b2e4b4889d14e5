"""What the ranks of a distributed training exchange, also in batch norm; without a process group there is one rank.

``DistributedDataParallel`` averages gradients over the ranks. So where every rank's loss is the mean over its own
images, N ranks of B images take the gradient of one rank of N * B.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


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


BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


class SyncBatchNorm(nn.Module):
    """Takes the place of a batch norm; its parameters and buffers are those of the norm, names included. torch's own
    ``SyncBatchNorm`` knows no CPU. Every rank has the same number of images."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: BatchNorm) -> None:
        super().__init__()
        self.eps, self.momentum = norm.eps, norm.momentum if norm.momentum is not None else 0.1
        self.weight, self.bias = norm.weight, norm.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))

    def forward(self, values: Tensor) -> Tensor:
        """``[B, C, ...]`` -> the same shape and dtype; arithmetic in float32."""
        shape = [1, -1, *[1] * (values.ndim - 2)]
        if not self.training:
            return self._normalised(values.float(), self.running_mean, self.running_var, shape).to(values.dtype)
        axes = [axis for axis in range(values.ndim) if axis != 1]
        x = values.float()
        mean = mean_over_ranks(x.mean(dim=axes))
        # Deviations from the common mean: the difference of two large sums would lose digits.
        variance = mean_over_ranks((x - mean.view(shape)).square().mean(dim=axes))
        with torch.no_grad():
            count = x.numel() // x.shape[1] * ranks()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(1, count - 1)), self.momentum)
            self.num_batches_tracked.add_(1)
        return self._normalised(x, mean, variance, shape).to(values.dtype)

    def _normalised(self, x: Tensor, mean: Tensor, variance: Tensor, shape: list[int]) -> Tensor:
        """Of mean 0 and variance 1, then scaled and shifted where the norm has weights."""
        out = (x - mean.view(shape)) * (variance + self.eps).rsqrt().view(shape)
        return out if self.weight is None else out * self.weight.view(shape) + self.bias.view(shape)


def sync_batch_norms(network: nn.Module) -> nn.Module:
    """Replace every plain batch norm of ``network`` in place, parameters shared; returns the network."""
    for name, child in network.named_children():
        if isinstance(child, BatchNorm) and type(child) in (nn.BatchNorm1d, nn.BatchNorm2d):
            setattr(network, name, SyncBatchNorm(child))
        else:
            sync_batch_norms(child)
    return network
