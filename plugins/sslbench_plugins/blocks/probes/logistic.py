"""Multinomial logistic regression on features, fitted to its optimum, many fits at once.

The objective of one fit, convex, with one optimum up to a constant added to every entry of ``b``:

    mean_i CE(W x_i + b, y_i) + l2 / 2 ||W||^2

which is scikit-learn's ``LogisticRegression`` with ``C = 1 / (n * l2)``, or for two classes, for which it keeps one row
of weights, ``2 / (n * l2)``. Full-batch L-BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.4), with two
changes that pay because the model is linear:

- the logits along a search direction are ``F + t G``, so the line search is one-dimensional and costs no product
  with the features: a step takes two of those, whatever the line search does;
- the initial inverse Hessian is ``(X'X / (C n) + l2 I)^-1``, the exact one at uniform predictions (Boehning 1992,
  Ann. Inst. Stat. Math. 44), which takes away most of the effect of correlated features.

Classes come before samples in every tensor: softmax and sums over a few classes are then vectorised over samples.
Nothing but the convergence check waits for the device, once in ``CHECK_EVERY`` steps on an accelerator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

HISTORY = 10
CHECK_EVERY = 5
LINE_SEARCH_STEPS = 2
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


class Ends(NamedTuple):
    """When a fit is finished: see ``fit_logistic``."""

    tolerance: float = 1e-6
    gain: float = 0.0
    max_steps: int = 1000


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
    ``RELATIVE_TOLERANCE`` of its length at zero weights. But never is it asked to be shorter than ``RESOLVED``
    machine epsilons (5e-5 in float32), which for ``l2`` below 1e-3 is what limits float32: 1e-4 nats at 1e-5.

    ``gain``: a fit also ends where its next step is expected to win no more than this, in nats (half the slope along
    the direction of the search). No bound, but far nearer to the truth than one where ``l2`` is small: at 1e-4, what
    was left to win was between 2e-4 and 1e-3 in trials, and the accuracy within 0.1 points of the optimum's.
    """
    ends = Ends(tolerance, gain, max_steps)
    return next(fit_path(features, labels, classes, (l2,), init=init, ends=ends))


def fit_path(
    features: Tensor,
    labels: Tensor,
    classes: int,
    strengths: Sequence[float],
    *,
    init: LogisticFit | None = None,
    ends: Ends | None = None,
) -> Iterator[LogisticFit]:
    """The fits of ``fit_logistic`` at each l2 of ``strengths``, each made when it is asked for and starting from the
    one before, or from ``init``."""
    if features.ndim == 2:
        features, labels = features[None], labels[None]
    basis = None
    if features.shape[1] < features.shape[2]:
        # Fewer samples than columns: the optimal weights are combinations of the samples. X = T' Q' with
        # orthonormal columns in Q, and W = U Q' has the same logits and the same norm as U on T'.
        basis, triangle = torch.linalg.qr(features.mT)
        features = triangle.mT.contiguous()
    problem, ends = _Problem(features, labels, classes), ends or Ends()
    batch, samples, width = features.shape
    at = _Point(features.new_zeros(batch, classes, width + 1), features.new_zeros(batch, classes, samples))
    # The gradient at zero weights is the same for every l2.
    _, gradient = problem.partition_and_gradient(*at)
    longest = RELATIVE_TOLERANCE**2 * _dot(gradient, gradient)
    shortest = (RESOLVED * torch.finfo(longest.dtype).eps) ** 2
    if init is not None:
        theta = torch.cat([init.weight if basis is None else init.weight @ basis, init.bias], dim=2)
        at = _Point(theta, problem.logits(theta))
    for l2 in strengths:
        limit = longest.clamp_max(2 * l2 * ends.tolerance).clamp_min(shortest)
        at, converged, steps = _minimise(problem.at(l2), at, limit, ends)
        weight, bias = at.theta[:, :, :-1], at.theta[:, :, -1:]
        weight = weight if basis is None else weight @ basis.mT
        yield LogisticFit(weight, bias - bias.mean(dim=1, keepdim=True), converged, steps)


class _Point(NamedTuple):
    """Parameters ``[B, C, D + 1]``, the bias in the last column, and the logits ``[B, C, n]`` that they give."""

    theta: Tensor
    logits: Tensor


class _Problem:
    """The parts of the objective."""

    def __init__(self, features: Tensor, labels: Tensor, classes: int) -> None:
        self.features, self.classes, self.l2 = features, classes, 0.0
        self.samples = features.shape[1]
        # The norm of flat rows takes no copy of the features.
        square = torch.linalg.vector_norm(features.flatten(1), dim=1).square()
        self.feature_square = square[:, None, None] / self.samples
        self.targets = F.one_hot(labels, classes).mT.to(features.dtype, memory_format=torch.contiguous_format)
        self._square = self._uniform_square()

    def at(self, l2: float) -> _Problem:
        """This problem, from now on with this ``l2``."""
        self.l2 = l2
        hessian = self._square.clone()
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        # Rounding must not meet a zero pivot where l2 is far below the largest entry.
        diagonal += l2 + 10 * torch.finfo(hessian.dtype).eps * diagonal.sum(dim=1, keepdim=True)
        self._factor = torch.linalg.cholesky(hessian)
        return self

    def _uniform_square(self) -> Tensor:
        """``X'X / (C n)``. It only steers the search: some rows, evenly spread, are enough."""
        stride = max(1, self.samples // max(1024, 4 * self.features.shape[2]))
        rows = self.features[:, ::stride]
        return rows.mT @ rows / (self.classes * rows.shape[1])

    def precondition(self, gradient: Tensor) -> Tensor:
        weight = torch.cholesky_solve(gradient[:, :, :-1].mT, self._factor).mT
        return torch.cat([weight, self.classes * gradient[:, :, -1:]], dim=2)

    def squared_norm(self, gradient: Tensor) -> Tensor:
        """``[B, 1, 1]``: of the gradient that the weights would have at the best bias, at the most.

        Moving the bias by its Newton step changes the weights' gradient by about the bias's gradient times a mean
        of the features; where l2 is large, the bias's own lack counts, its curvature being about 1 / C.
        """
        bias = gradient[:, :, -1:]
        return _dot(gradient, gradient) + (self.feature_square + self.l2 * self.classes) * _dot(bias, bias)

    def logits(self, theta: Tensor) -> Tensor:
        """``[B, C, n]``."""
        return torch.baddbmm(theta[:, :, -1:], theta[:, :, :-1], self.features.mT)

    def partition_and_gradient(self, theta: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """``mean_i logsumexp(logits_i)`` ``[B, 1, 1]``, and the objective's gradient, shaped as ``theta``."""
        partition = logits.logsumexp(dim=1, keepdim=True)
        residual = ((logits - partition).exp_() - self.targets) / self.samples
        weight = torch.baddbmm(theta[:, :, :-1], residual, self.features, beta=self.l2)
        gradient = torch.cat([weight, residual.sum(dim=2, keepdim=True)], dim=2)
        return partition.mean(dim=2, keepdim=True), gradient

    def along(self, theta: Tensor, direction: Tensor, logits: Tensor, change: Tensor) -> _Line:
        weight, toward = theta[:, :, :-1], direction[:, :, :-1]
        linear = self.l2 * _dot(weight, toward) - _dot(self.targets, change) / self.samples
        return _Line(logits, change, linear, self.l2 * _dot(toward, toward))


class _Line(NamedTuple):
    """The objective at a step along a direction, less a constant: ``mean_i logsumexp`` and a parabola."""

    logits: Tensor
    change: Tensor
    linear: Tensor
    squared: Tensor

    def at(self, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Value, slope and curvature, each ``[B, 1, 1]``."""
        logits = self.logits + step * self.change
        partition = logits.logsumexp(dim=1, keepdim=True)
        weighted = logits.sub_(partition).exp_().mul_(self.change)
        mean = weighted.sum(dim=1, keepdim=True)
        value = partition.mean(dim=2, keepdim=True) + step * (self.linear + step * self.squared / 2)
        slope = mean.mean(dim=2, keepdim=True) + self.linear + step * self.squared
        curvature = (_dot(weighted, self.change) - _dot(mean, mean)) / mean.shape[2] + self.squared
        return value, slope, curvature

    def minimum(self, value: Tensor, slope: Tensor) -> Tensor:
        """A step that does not go uphill, near the minimum; ``value`` and ``slope`` are those at 0.

        Newton from 1. Where that fails, the step that the largest possible curvature allows: a quarter of the squared
        range of the logits' change (Popoviciu's bound on a variance). Of the steps tried the one with the flattest
        slope is taken, since slopes are resolved far beyond values, which only have to rule out a rise.
        """
        tiny, noise = torch.finfo(value.dtype).tiny, 10 * torch.finfo(value.dtype).eps
        extent = self.change.amax(dim=1) - self.change.amin(dim=1)
        bound = extent.square().mean(dim=1)[:, None, None] / 4 + self.squared
        best = safe = -slope / bound.clamp_min(tiny)
        flattest, step = slope.abs(), torch.ones_like(slope)
        ceiling = value + noise * (value.abs() + self.linear.abs())
        for _ in range(LINE_SEARCH_STEPS):
            value, slope, curvature = self.at(step)
            better = (value <= ceiling) & (slope.abs() < flattest)
            best, flattest = torch.where(better, step, best), torch.where(better, slope.abs(), flattest)
            step = (step - slope / curvature.clamp_min(tiny)).clamp_max(4).maximum(safe)
        return best


def _minimise(problem: _Problem, at: _Point, limit: Tensor, ends: Ends) -> tuple[_Point, bool, int]:
    """L-BFGS until no gradient's squared norm is above ``limit``, or no step is expected to win more than
    ``ends.gain``: where it ended, success, steps taken."""
    every = 1 if limit.device.type == "cpu" else CHECK_EVERY
    partition, gradient = problem.partition_and_gradient(*at)
    history: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=HISTORY)
    for step in range(ends.max_steps + 1):
        direction = -_inverse_hessian_product(problem, gradient, history)
        slope = _dot(gradient, direction)
        if step % every == 0 or step == ends.max_steps:
            ended = bool(((problem.squared_norm(gradient) <= limit) | (slope.abs() <= 2 * ends.gain)).all())
            if ended or step == ends.max_steps:
                break
        change = problem.logits(direction)
        length = problem.along(at.theta, direction, at.logits, change).minimum(partition, slope)
        moved, before = length * direction, gradient
        at = _Point(at.theta + moved, at.logits + length * change)
        partition, gradient = problem.partition_and_gradient(*at)
        history.append(_pair(moved, gradient - before))
    return at, ended, step


def _pair(moved: Tensor, bent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A step, the gradient's change over it, and 1 / their product (0: no effect, where rounding ate it)."""
    product = _dot(moved, bent)
    noise = torch.finfo(product.dtype).eps * (_dot(moved, moved) * _dot(bent, bent)).sqrt()
    return moved, bent, torch.where(product > noise, 1 / product, 0)


def _inverse_hessian_product(
    problem: _Problem, gradient: Tensor, history: deque[tuple[Tensor, Tensor, Tensor]]
) -> Tensor:
    """The two-loop recursion around the problem's preconditioner."""
    result, weights = gradient, []
    for moved, bent, inverse in reversed(history):
        weights.append(inverse * _dot(moved, result))
        result = result - weights[-1] * bent
    result = problem.precondition(result)
    for moved, bent, inverse in history:
        result = result + (weights.pop() - inverse * _dot(bent, result)) * moved
    return result


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """``[B, 1, 1]``: the inner product of each fit's matrices."""
    return (a * b).sum(dim=(1, 2), keepdim=True)
