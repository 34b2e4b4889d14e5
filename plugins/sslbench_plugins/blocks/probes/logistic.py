"""Multinomial logistic regression on features, fitted to its optimum, many fits at once.

The objective of one fit, convex, with one optimum up to a constant added to every entry of ``b``:

    mean_i CE(W x_i + b, y_i) + l2 / 2 ||W||^2

which is scikit-learn's ``LogisticRegression`` with ``C = 1 / (n * l2)``, or for two classes, for which it keeps one row
of weights, ``2 / (n * l2)``. It is minimised by ``lbfgs``; since the model is linear, a step takes two products with
the features, whatever the line search does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sslbench_plugins.blocks.probes.lbfgs import StoppingRule, minimise
from sslbench_plugins.blocks.probes.logistic_objective import Objective, Point, dot

RELATIVE_TOLERANCE = 1e-3
RESOLVED = 400


class LogisticFit(NamedTuple):
    """The weights of ``B`` fits, as ``torch.nn.Linear`` keeps them."""

    weight: Tensor
    """``[B, C, D]``"""
    bias: Tensor
    """``[B, C, 1]``, mean 0 over the classes"""
    converged: bool
    """every fit is within the tolerance"""
    steps: int

    def logits(self, features: Tensor) -> Tensor:
        """``[N, D]`` or ``[B, N, D]`` -> ``[B, C, N]``."""
        return self.weight @ features.mT + self.bias


class NoOptimum(Exception):
    """A fit that could not be made or did not converge; its words are the reason."""


def why_no_optimum(fit: LogisticFit, l2: float) -> str:
    """Empty where the fit converged, else a line."""
    return "" if fit.converged else f"no optimum within {fit.steps} steps at l2 = {l2:g}"


def fit_logistic(
    features: Tensor,
    labels: Tensor,
    classes: int,
    l2: float,
    *,
    init: LogisticFit | None = None,
    tolerance: float = 1e-6,
    gain: float = 0.0,
    max_steps: int = 1000,
) -> LogisticFit:
    """Fit ``B`` independent problems of equal size.

    ``features``: float32 or float64 ``[B, n, D]``, or ``[n, D]`` for B = 1, finite; quickest when the columns have
    mean 0. ``labels``: int64 ``[B, n]`` or ``[n]``, 0..classes-1. ``l2``: > 0. ``init``: where to start, such as the
    fit at another ``l2``; zero otherwise. Runs on the features' device and in their dtype.

    ``tolerance``: how far from its minimum the objective may end, in nats, by the bound ``|gradient|^2 / (2 l2)``.
    Where ``l2`` is large little is to be won, and still decides the predictions: the gradient also ends at
    ``RELATIVE_TOLERANCE`` of its length at zero weights. But it never has to be shorter than ``RESOLVED`` machine
    epsilons (5e-5 in float32), which for ``l2`` below 1e-3 is what limits float32: 1e-4 nats at 1e-5.

    ``gain``: a fit also ends where its next step is expected to win no more than this, in nats (half the slope along
    the direction of the search). No bound, but far nearer to the truth than one where ``l2`` is small: at 1e-4, what
    was left to win was between 2e-4 and 1e-3 in trials, and the accuracy within 0.1 points of the optimum's.
    """
    stop = StoppingRule(tolerance, gain, max_steps)
    return next(fit_path(features, labels, classes, (l2,), init=init, stop=stop))


def fit_path(
    features: Tensor,
    labels: Tensor,
    classes: int,
    l2_values: Sequence[float],
    *,
    init: LogisticFit | None = None,
    stop: StoppingRule | None = None,
) -> Iterator[LogisticFit]:
    """The fits of ``fit_logistic`` at each of ``l2_values``, each made when the iterator comes to it and starting from
    the one before, or from ``init``."""
    if features.ndim == 2:
        features, labels = features[None], labels[None]
    features, basis = span_of_samples(features)
    objective, stop = Objective(features, labels, classes), stop or StoppingRule()
    batch, samples, width = features.shape
    point = Point(features.new_zeros(batch, classes, width + 1), features.new_zeros(batch, classes, samples))
    # The gradient at zero weights is the same for every l2.
    _, gradient = objective.partition_and_gradient(point)
    longest = RELATIVE_TOLERANCE**2 * dot(gradient, gradient)
    shortest = (RESOLVED * torch.finfo(longest.dtype).eps) ** 2
    if init is not None:
        theta = torch.cat([init.weight if basis is None else init.weight @ basis, init.bias], dim=2)
        point = Point(theta, objective.logits(theta))
    for l2 in l2_values:
        limit = longest.clamp_max(2 * l2 * stop.tolerance).clamp_min(shortest)
        point, converged, steps = minimise(objective.with_l2(l2), point, limit, stop)
        weight, bias = point.theta[:, :, :-1], point.theta[:, :, -1:]
        weight = weight if basis is None else weight @ basis.mT
        yield LogisticFit(weight, bias - bias.mean(dim=1, keepdim=True), converged, steps)


def span_of_samples(features: Tensor) -> tuple[Tensor, Tensor | None]:
    """``[B, n, D]`` with fewer samples than columns as coordinates ``[B, n, n]`` in an orthonormal basis
    ``[B, D, n]`` of their span; others as they are, with None.

    The optimal weights are combinations of the samples: with X = T' Q', W = U Q' has the same logits and the same
    norm as U on T'.
    """
    if features.shape[1] >= features.shape[2]:
        return features, None
    basis, triangle = torch.linalg.qr(features.mT)
    return triangle.mT.contiguous(), basis
