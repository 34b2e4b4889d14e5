"""Mean and standard deviation of images, channel by channel."""

from __future__ import annotations

import torch
from torch import Tensor

Triple = tuple[float, float, float]


def channel_sums(images: Tensor) -> Tensor:
    """uint8 ``[N, 3, H, W]`` -> int64 ``[3, 3]``: count, sum and sum of squares of each channel's values.

    Whole numbers, so that sums over parts add up to the same in any order.
    """
    values = images.transpose(0, 1).flatten(1).to(torch.int32)
    count = torch.full((3,), values.shape[1], dtype=torch.int64)
    return torch.stack([count, values.sum(dim=1), values.square().sum(dim=1)])


def mean_and_deviation(sums: Tensor) -> tuple[Triple, Triple]:
    """What ``channel_sums`` counted, as mean and deviation of values in 0..1; both 0 where there is no image."""
    count, total, squares = sums.double()
    mean = total / count.clamp(min=1)
    variance = squares / count.clamp(min=1) - mean.square()
    return triple(mean / 255), triple(variance.clamp_(min=0).sqrt() / 255)


def triple(values: Tensor) -> Triple:
    """``[3]`` -> three numbers."""
    red, green, blue = values.tolist()
    return red, green, blue
