"""Columns of features brought to mean 0 and deviation 1."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

RESOLUTION = 1e-6
"""a column whose deviation is a smaller share of its mean is constant: what is left is float32 rounding"""


class Standardiser(NamedTuple):
    """The affine map of each column. A constant column becomes 0, in other splits too."""

    mean: Tensor
    """``[D]``"""
    scale: Tensor
    """``[D]``: 1 / standard deviation, or 0"""

    @classmethod
    def fitted(cls, features: Tensor) -> Standardiser:
        """From float ``[N, D]``, N at least 1, finite. The deviation is the population's (divided by N)."""
        variance, mean = torch.var_mean(features, dim=0, correction=0)
        deviation = variance.sqrt()
        constant = deviation <= RESOLUTION * mean.abs()
        return cls(mean, torch.where(constant, 0, 1 / deviation))

    def __call__(self, features: Tensor) -> Tensor:
        """``[..., D]`` -> ``[..., D]``, a new tensor."""
        return (features - self.mean).mul_(self.scale)

    def undone(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """A linear layer on standardised columns, ``[C, D]`` and ``[C]``, as one with the same answers on columns as
        they are."""
        weight = weight * self.scale
        return weight, bias - weight @ self.mean
