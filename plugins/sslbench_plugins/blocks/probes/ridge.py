"""Ridge regression of one quantity on features, for any number of l2 strengths at the price of one.

    mean_i (w . x_i + b - y_i)^2 + l2 ||w||^2

which is scikit-learn's ``Ridge`` with ``alpha = n * l2``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


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

    ``features`` float ``[n, D]``, finite; ``values`` float ``[n]``; ``held_out`` bool ``[n]``, True for some and not
    for all. ``restrict`` is applied to predictions before they are scored, such as a clamp.
    """
    path = RidgePath(features[~held_out], values[~held_out])
    inputs, true = features[held_out].double(), values[held_out].double()
    errors = []
    for l2 in l2_values:
        weight, bias = path.at(l2)
        errors.append(float((restrict(inputs @ weight + bias) - true).square().mean()))
    return RidgePath(features, values).at(l2_values[errors.index(min(errors))])
