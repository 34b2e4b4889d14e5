"""Linear maps of features: columns brought to mean 0 and deviation 1, and ridge regression of one quantity.

    mean_i (w . x_i + b - y_i)^2 + l2 ||w||^2

is scikit-learn's ``Ridge`` with ``alpha = n * l2``; any number of l2 strengths are had at the price of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

RESOLUTION = 1e-6
"""a column whose deviation is a smaller share of its mean is constant: what is left is float32 rounding"""
CHUNK, LARGE_CHUNK = 512, 1 << 16
"""samples that are squared at a time: on a CPU as many as stay in its cache; on a GPU, which each chunk is work for"""


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
        chunks = torch.split(features, CHUNK if features.device.type == "cpu" else LARGE_CHUNK)
        squares = [(chunk - mean).square_().sum(dim=0) for chunk in chunks]
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


class RidgePath:
    """The optimum at any l2, from one eigendecomposition of the features' covariance (float64)."""

    def __init__(self, features: Tensor, values: Tensor) -> None:
        """``features``: float ``[n, D]``, finite; ``values``: ``[n]``."""
        inputs, values = features.double(), values.double()
        self.mean, self.level = inputs.mean(dim=0), values.mean()
        inputs = inputs - self.mean
        self._eigenvalues, self._eigenvectors = torch.linalg.eigh(inputs.mT @ inputs / len(inputs))
        self._projected = self._eigenvectors.mT @ (inputs.mT @ (values - self.level)) / len(inputs)

    def at(self, l2: float) -> tuple[Tensor, Tensor]:
        """Weights ``[D]`` and bias ``[]``, float64; ``l2`` > 0."""
        weight = self._eigenvectors @ (self._projected / (self._eigenvalues.clamp_min(0) + l2))
        return weight, self.level - weight @ self.mean


def fit_ridge(
    features: Tensor,
    values: Tensor,
    held_out: Tensor,
    l2_values: Sequence[float],
    restrict: Callable[[Tensor], Tensor] = lambda predicted: predicted,
) -> tuple[Tensor, Tensor]:
    """Weights ``[D]`` and bias ``[]``, float64, fitted to all samples at the l2 with the least squared error on the
    ``held_out`` ones when fitted to the others (of equals the first).

    ``features`` float ``[n, D]``, finite; ``values`` float ``[n]``; ``held_out`` bool ``[n]``, some but not all True.
    ``restrict`` is applied to predictions before they are scored, such as a clamp.
    """
    path = RidgePath(features[~held_out], values[~held_out])
    inputs, true = features[held_out].double(), values[held_out].double()
    errors = []
    for l2 in l2_values:
        weight, bias = path.at(l2)
        errors.append(float((restrict(inputs @ weight + bias) - true).square().mean()))
    return RidgePath(features, values).at(l2_values[errors.index(min(errors))])
