"""Multinomial logistic regression on features, fitted to its optimum, many fits at once.

The objective of one fit, convex, with one optimum up to a constant added to every entry of ``b``:

    mean_i CE(W x_i + b, y_i) + l2 / 2 ||W||^2

which is scikit-learn's ``LogisticRegression`` with ``C = 1 / (n * l2)``, or for two classes, for which it keeps one row
of weights, ``2 / (n * l2)``. It is minimised by full-batch L-BFGS (Nocedal and Wright, Numerical Optimization,
algorithm 7.4) with the preconditioner and exact-slope line search of ``logistic_objective``; since the model is linear,
a step takes two products with the features, whatever the line search does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sslbench_plugins.blocks.probes.logistic_objective import Objective, Point, dot

RELATIVE_TOLERANCE = 1e-3
RESOLVED = 400
HISTORY = 10
CHECK_EVERY = 5
"""steps on an accelerator between checks of convergence, the only thing that waits for the device"""


class StoppingRule(NamedTuple):
    """When a fit is finished.

    ``tolerance``: how far from its minimum the objective may end, in nats, by the bound ``|gradient|^2 / (2 l2)``.
    Where ``l2`` is large little is to be won, and still decides the predictions: the gradient also ends at
    ``RELATIVE_TOLERANCE`` of its length at zero weights. But it never has to be shorter than ``RESOLVED`` machine
    epsilons (5e-5 in float32), which for ``l2`` below 1e-3 is what limits float32: 1e-4 nats at 1e-5.

    ``gain``: a fit also ends where its next step is expected to win no more than this, in nats (half the slope along
    the direction of the search). No bound, but far nearer to the truth than one where ``l2`` is small: at 1e-4, what
    was left to win was between 2e-4 and 1e-3 in trials, and the accuracy within 0.1 points of the optimum's.
    """

    tolerance: float = 1e-6
    gain: float = 0.0
    max_steps: int = 1000


AT_OPTIMUM = StoppingRule()


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
    stop: StoppingRule = AT_OPTIMUM,
) -> LogisticFit:
    """Fit ``B`` independent problems of equal size, on the features' device and in their dtype.

    ``features``: float32 or float64 ``[B, n, D]``, or ``[n, D]`` for B = 1, finite; quickest when the columns have
    mean 0. ``labels``: int64 ``[B, n]`` or ``[n]``, 0..classes-1. ``l2``: > 0. ``init``: where to start, such as the
    fit at another ``l2``; zero otherwise.
    """
    return next(fit_path(features, labels, classes, (l2,), init=init, stop=stop))


def fit_path(
    features: Tensor,
    labels: Tensor,
    classes: int,
    l2_values: Sequence[float],
    *,
    init: LogisticFit | None = None,
    stop: StoppingRule = AT_OPTIMUM,
) -> Iterator[LogisticFit]:
    """The fits of ``fit_logistic`` at each of ``l2_values``, made on demand, each starting from the one before."""
    if features.ndim == 2:
        features, labels = features[None], labels[None]
    features, basis = span_of_samples(features)
    objective = Objective(features, labels, classes)
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


class Update(NamedTuple):
    """A step taken and what it did to the gradient, each ``[B, C, D + 1]``."""

    moved: Tensor
    gradient_change: Tensor
    inverse: Tensor
    """``[B, 1, 1]``: 1 / their inner product; 0, for no effect, where rounding ate it"""


def minimise(objective: Objective, start: Point, limit: Tensor, stop: StoppingRule) -> tuple[Point, bool, int]:
    """Minimise until no gradient's squared norm is above ``limit`` ``[B, 1, 1]``, or no step is expected to win more
    than ``stop.gain``. Returns where it ended, whether it converged, and the steps taken."""
    check_every = 1 if limit.device.type == "cpu" else CHECK_EVERY
    point, history = start, deque[Update](maxlen=HISTORY)
    partition, gradient = objective.partition_and_gradient(point)
    for step in range(stop.max_steps + 1):
        direction = -inverse_hessian_product(objective, gradient, history)
        slope = dot(gradient, direction)
        if step % check_every == 0 or step == stop.max_steps:
            converged = bool(((objective.squared_norm(gradient) <= limit) | (slope.abs() <= 2 * stop.gain)).all())
            if converged or step == stop.max_steps:
                break
        logits_change = objective.logits(direction)
        length = objective.along(point, direction, logits_change).minimum(partition, slope)
        moved, previous_gradient = length * direction, gradient
        point = Point(point.theta + moved, point.logits + length * logits_change)
        partition, gradient = objective.partition_and_gradient(point)
        history.append(make_update(moved, gradient - previous_gradient))
    return point, converged, step


def make_update(moved: Tensor, gradient_change: Tensor) -> Update:
    """The update that a step gives, as ``Update`` describes it."""
    product = dot(moved, gradient_change)
    noise = torch.finfo(product.dtype).eps * (dot(moved, moved) * dot(gradient_change, gradient_change)).sqrt()
    return Update(moved, gradient_change, torch.where(product > noise, 1 / product, 0))


def inverse_hessian_product(objective: Objective, gradient: Tensor, history: deque[Update]) -> Tensor:
    """The two-loop recursion around the objective's preconditioner: ``[B, C, D + 1]`` -> the same shape."""
    result, weights = gradient, []
    for update in reversed(history):
        weights.append(update.inverse * dot(update.moved, result))
        result = result - weights[-1] * update.gradient_change
    result = objective.precondition(result)
    for update in history:
        correction = update.inverse * dot(update.gradient_change, result)
        result = result + (weights.pop() - correction) * update.moved
    return result
