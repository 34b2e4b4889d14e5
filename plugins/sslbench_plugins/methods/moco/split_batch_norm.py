"""Batch norm whose statistics come from parts of the batch: on one device what happens on many."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class SplitBatchNorm2d(nn.BatchNorm2d):
    """Statistics over each of ``splits`` equal parts of the batch apart (the MoCo authors' CIFAR-10 notebook).

    Without it, a key and its query leak through the statistics that they share (He et al. 2020, section 3.3).
    Running statistics are the mean over the parts. ``[B, C, H, W]``, B divisible by ``splits`` in training.
    """

    def __init__(self, features: int, splits: int, **options: Any) -> None:
        super().__init__(features, **options)
        self.splits = splits

    def forward(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> ``[B, C, H, W]``."""
        if not self.training:
            return super().forward(images)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        batch, channels, height, width = images.shape
        parts = self.splits
        mean, variance = self.running_mean.repeat(parts), self.running_var.repeat(parts)
        # Part s takes images s, s + parts, ...: the order of a shuffled batch does not matter.
        out = functional.batch_norm(
            images.reshape(batch // parts, channels * parts, height, width),
            mean,
            variance,
            self.weight.repeat(parts) if self.affine else None,
            self.bias.repeat(parts) if self.affine else None,
            True,
            self.momentum if self.momentum is not None else 0.1,
            self.eps,
        )
        with torch.no_grad():
            self.running_mean.copy_(mean.view(parts, channels).mean(0))
            self.running_var.copy_(variance.view(parts, channels).mean(0))
            self.num_batches_tracked.add_(1)
        return out.view(batch, channels, height, width)


def split_batch_norms(network: nn.Module, splits: int) -> nn.Module:
    """Replace every 2-D batch norm of ``network`` in place, keeping its weights; returns the network."""
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d:
            norm = SplitBatchNorm2d(
                child.num_features, splits, eps=child.eps, momentum=child.momentum, affine=child.affine
            )
            norm.load_state_dict(child.state_dict())
            setattr(network, name, norm)
        else:
            split_batch_norms(child, splits)
    return network
