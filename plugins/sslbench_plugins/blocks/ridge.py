"""Ridge regression of one quantity on features, for any number of strengths at the price of one.

    mean_i (w . x_i + b - y_i)^2 + l2 ||w||^2

which is scikit-learn's ``Ridge`` with ``alpha = n * l2``.
"""

from __future__ import annotations

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
