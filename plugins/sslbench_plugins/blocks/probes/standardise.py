"""Columns of features brought to mean 0 and standard deviation 1."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

RESOLUTION = 1e-6
"""a column whose deviation is a smaller share of its mean is constant: what is left is float32 rounding"""
CHUNK = 512
"""samples that are squared at a time"""


class Standardiser(NamedTuple):
    """The affine map of each column. A constant column becomes 0, in other splits too."""

    mean: Tensor
    """``[D]``"""
    scale: Tensor
    """``[D]``: 1 / standard deviation, or 0"""

    @classmethod
    def fitted(cls, features: Tensor) -> Standardiser:
        """From float ``[N, D]``, N at least 1, finite. The deviation is the population's (divided by N)."""
        mean = features.mean(dim=0)
        # Chunk by chunk, so that what is squared is still in the cache: a fifth of the time of torch.var_mean.
        squares = [(chunk - mean).square_().sum(dim=0) for chunk in torch.split(features, CHUNK)]
        deviation = (torch.stack(squares).sum(dim=0) / len(features)).sqrt()
        constant = deviation <= RESOLUTION * mean.abs()
        return cls(mean, torch.where(constant, 0, 1 / deviation))

    def __call__(self, features: Tensor) -> Tensor:
        """``[..., D]`` -> ``[..., D]``, a new tensor."""
        return (features - self.mean).mul_(self.scale)

    def undone(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """A linear layer on standardised columns, ``[C, D]`` and ``[C]``, as the equal one on columns as they are."""
        weight = weight * self.scale
        return weight, bias - weight @ self.mean
