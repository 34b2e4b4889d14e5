"""Multinomial logistic regression on features, fitted to its optimum, many fits at once.

The objective of one fit, convex, with one optimum up to a constant added to every entry of ``b``:

    mean_i CE(W x_i + b, y_i) + l2 / 2 ||W||^2

which is scikit-learn's ``LogisticRegression`` with ``C = 1 / (n * l2)``, or for two classes, for which it keeps one row
of weights, ``2 / (n * l2)``. It is minimised by full-batch L-BFGS in its compact form (Byrd, Nocedal and Schnabel 1994,
Math. Program. 63), which is a few products of small matrices, with the preconditioner and line search of
``logistic_objective``; since the model is linear, a step takes two products with the features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sslbench_plugins.blocks.probes.logistic_objective import Objective, Point, dot

RELATIVE_TOLERANCE = 1e-3
RESOLVED = 400
HISTORY = 10
CHECK_EVERY = 3
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
    """The fits of ``fit_logistic`` at each of ``l2_values``, made on demand, each starting from the one before and from
    what that one learnt about the curvature."""
    if features.ndim == 2:
        features, labels = features[None], labels[None]
    features, basis = span_of_samples(features)
    objective = Objective(features, labels, classes)
    batch, samples, width = features.shape
    theta = features.new_zeros(batch, classes, width + 1)
    logits = features.new_zeros(batch, classes, samples)
    # The gradient at zero weights is the same for every l2.
    gradient = objective.at(theta, logits).gradient
    longest = RELATIVE_TOLERANCE**2 * dot(gradient, gradient)
    shortest = (RESOLVED * torch.finfo(longest.dtype).eps) ** 2
    if init is not None:
        theta = torch.cat([init.weight if basis is None else init.weight @ basis, init.bias], dim=2)
        logits = objective.logits(theta)
    updates = features.new_zeros(batch, 2, 1, theta[0].numel())
    for l2 in l2_values:
        limit = longest.clamp_max(2 * l2 * stop.tolerance).clamp_min(shortest)
        updates = with_more_l2(updates, l2 - objective.l2, classes)
        start = objective.with_l2(l2).at(theta, logits)
        (theta, logits, *_), updates, converged, steps = minimise(objective, start, updates, limit, stop)
        weight, bias = theta[:, :, :-1], theta[:, :, -1:]
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


def minimise(
    objective: Objective, start: Point, updates: Tensor, limit: Tensor, stop: StoppingRule
) -> tuple[Point, Tensor, bool, int]:
    """Minimise until no gradient's squared norm is above ``limit`` ``[B, 1, 1]``, or no step is expected to win more
    than ``stop.gain``. Returns where it ended, the last updates, whether it converged, and the steps taken.

    ``updates``: ``[B, 2, m, C (D + 1)]``, of this l2, as ``scaled`` returns them.
    """
    check_every = 1 if limit.device.type == "cpu" else CHECK_EVERY
    point, value = start, objective.value(start.theta, start.logits)
    for step in range(stop.max_steps + 1):
        direction = inverse_hessian_product(objective, point.gradient, updates)
        slope = dot(point.gradient, direction)
        if step % check_every == 0 or step == stop.max_steps:
            converged = bool(((objective.squared_norm(point.gradient) <= limit) | (slope.abs() <= 2 * stop.gain)).all())
            if converged or step == stop.max_steps:
                break
        gradient = point.gradient
        moved, value, point = objective.step(point, value, direction, slope)
        update = torch.stack([moved, gradient - point.gradient], dim=1).flatten(2)
        updates = torch.cat([updates, scaled(update[:, :, None])], dim=2)[:, :, -HISTORY:]
    return point, updates, converged, step


def scaled(updates: Tensor) -> Tensor:
    """Steps taken and what they did to the gradient, ``[B, 2, m, C (D + 1)]`` with the oldest first, scaled until the
    inner product of a step and its change is 1; zeros, for no effect, where rounding ate it."""
    product = updates.prod(dim=1).sum(dim=2, keepdim=True)
    noise = torch.finfo(product.dtype).eps * torch.linalg.vector_norm(updates, dim=3, keepdim=True).prod(dim=1)
    return updates * torch.where(product > noise, product.rsqrt(), 0)[:, None]


def with_more_l2(updates: Tensor, more: float, classes: int) -> Tensor:
    """What the same steps do to the gradient of an objective whose l2 is larger by ``more``."""
    steps, changes = updates.view(*updates.shape[:3], classes, -1).unbind(dim=1)
    changes = changes + F.pad(more * steps[..., :-1], (0, 1))
    return scaled(torch.stack([steps, changes], dim=1).flatten(3))


def inverse_hessian_product(objective: Objective, gradient: Tensor, updates: Tensor) -> Tensor:
    """The BFGS matrix of the updates around the objective's preconditioner: ``[B, C, D + 1]`` -> the same shape.

    In its compact form, S and Y holding an update a row: with R the upper triangle of S Y', whose diagonal is 1,
    p = R^-1 S g and z = H_0 (g - Y' p) it is z + S' R'^-1 (p - Y z).
    """
    steps, changes = updates.unbind(dim=1)
    triangle = steps @ changes.mT
    # Rows: MKL multiplies a batch of columns by a matrix in seven times as long.
    row = gradient.flatten(1)[:, None]
    first = torch.linalg.solve_triangular(triangle, steps @ row.mT, upper=True, unitriangular=True)
    rest = torch.baddbmm(row, first.mT, changes, alpha=-1).view_as(gradient)
    result = objective.precondition(rest).flatten(1)[:, None]
    second = torch.baddbmm(first, changes, result.mT, alpha=-1)
    second = torch.linalg.solve_triangular(triangle.mT, second, upper=False, unitriangular=True)
    return torch.baddbmm(result, second.mT, steps).view_as(gradient)
