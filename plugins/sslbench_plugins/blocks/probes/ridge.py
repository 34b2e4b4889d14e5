"""Ridge regression of one quantity on features, for any number of strengths at the price of one.

    mean_i (w . x_i + b - y_i)^2 + l2 ||w||^2

which is scikit-learn's ``Ridge`` with ``alpha = n * l2``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class RidgePath:
    """The optimum at any strength, from one eigendecomposition of the features' covariance (float64)."""

    def __init__(self, features: Tensor, values: Tensor) -> None:
        """``features``: float ``[n, D]``, finite; ``values``: ``[n]``."""
        inputs, values = features.double(), values.double()
        self.mean, self.level = inputs.mean(dim=0), values.mean()
        inputs = inputs - self.mean
        self._power, self._axes = torch.linalg.eigh(inputs.mT @ inputs / len(inputs))
        self._along = self._axes.mT @ (inputs.mT @ (values - self.level)) / len(inputs)

    def at(self, l2: float) -> tuple[Tensor, Tensor]:
        """Weights ``[D]`` and bias ``[]``, float64; ``l2`` > 0."""
        weight = self._axes @ (self._along / (self._power.clamp_min(0) + l2))
        return weight, self.level - weight @ self.mean


def fit_ridge(
    features: Tensor,
    values: Tensor,
    held: Tensor,
    strengths: Sequence[float],
    answer: Callable[[Tensor], Tensor] = lambda predicted: predicted,
) -> tuple[Tensor, Tensor]:
    """The strength with the least squared error on the ``held`` out samples (of equals the first), fitted to all.

    ``features`` float ``[n, D]``, finite; ``values`` float ``[n]``; ``held`` bool ``[n]``, True for some and not for
    all. ``answer`` is what becomes of a prediction before it is scored, such as a clamp. Answers weights ``[D]`` and
    bias ``[]``, float64.
    """
    path, judges, true = RidgePath(features[~held], values[~held]), features[held].double(), values[held].double()
    errors = []
    for l2 in strengths:
        weight, bias = path.at(l2)
        errors.append(float((answer(judges @ weight + bias) - true).square().mean()))
    return RidgePath(features, values).at(strengths[errors.index(min(errors))])
