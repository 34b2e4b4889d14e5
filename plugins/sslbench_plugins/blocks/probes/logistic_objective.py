"""The objective of multinomial logistic regression, its gradient, its preconditioner, and itself along a line.

The logits along a search direction are ``F + t G``, so a line search is one-dimensional and costs no product with the
features. The preconditioner is ``(X'X / (C n) + l2 I)^-1``, the exact inverse Hessian at uniform predictions
(Boehning 1992, Ann. Inst. Stat. Math. 44), which takes away most of the effect of correlated features.

Classes come before samples in every tensor: softmax and sums over a few classes are then vectorised over samples.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

LINE_SEARCH_STEPS = 2


class Point(NamedTuple):
    """Parameters of ``B`` fits and the logits that they give."""

    theta: Tensor
    """``[B, C, D + 1]``, the bias in the last column"""
    logits: Tensor
    """``[B, C, n]``"""


class Line(NamedTuple):
    """The objective at a step along a direction, less a constant: ``mean_i logsumexp`` and a parabola."""

    logits: Tensor
    """``[B, C, n]`` at step 0"""
    change: Tensor
    """``[B, C, n]``: of the logits, for a step of 1"""
    linear: Tensor
    """``[B, 1, 1]``: coefficient of the step"""
    squared: Tensor
    """``[B, 1, 1]``: twice the coefficient of its square"""

    def at(self, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Value, slope and curvature, each ``[B, 1, 1]``."""
        logits = self.logits + step * self.change
        partition = logits.logsumexp(dim=1, keepdim=True)
        weighted = logits.sub_(partition).exp_().mul_(self.change)
        mean = weighted.sum(dim=1, keepdim=True)
        value = partition.mean(dim=2, keepdim=True) + step * (self.linear + step * self.squared / 2)
        slope = mean.mean(dim=2, keepdim=True) + self.linear + step * self.squared
        curvature = (dot(weighted, self.change) - dot(mean, mean)) / mean.shape[2] + self.squared
        return value, slope, curvature

    def minimum(self, value: Tensor, slope: Tensor) -> Tensor:
        """A step ``[B, 1, 1]`` that does not go uphill, near the minimum; ``value`` and ``slope`` are those at 0.

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


class Objective:
    """``mean_i CE(W x_i + b, y_i) + l2 / 2 ||W||^2`` of ``B`` fits of equal size."""

    def __init__(self, features: Tensor, labels: Tensor, classes: int) -> None:
        """``features``: float ``[B, n, D]``; ``labels``: int64 ``[B, n]``, 0..classes-1."""
        self.features, self.classes, self.l2 = features, classes, 0.0
        self.samples = features.shape[1]
        # The norm of flat rows takes no copy of the features.
        square = torch.linalg.vector_norm(features.flatten(1), dim=1).square()
        self.feature_square: Tensor = square[:, None, None] / self.samples
        self.targets = F.one_hot(labels, classes).mT.to(features.dtype, memory_format=torch.contiguous_format)
        # X'X / (C n) only steers the search: some rows, evenly spread, are enough.
        rows = features[:, :: max(1, self.samples // max(1024, 4 * features.shape[2]))]
        self._uniform_hessian = torch.div(rows.mT @ rows, classes * rows.shape[1])

    def with_l2(self, l2: float) -> Objective:
        """This objective, from now on with this ``l2``."""
        self.l2 = l2
        hessian = self._uniform_hessian.clone()
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        # Rounding must not meet a zero pivot where l2 is far below the largest entry.
        diagonal += l2 + 10 * torch.finfo(hessian.dtype).eps * diagonal.sum(dim=1, keepdim=True)
        self._factor = torch.linalg.cholesky(hessian)
        return self

    def precondition(self, gradient: Tensor) -> Tensor:
        """``[B, C, D + 1]`` times the inverse Hessian at uniform predictions."""
        weight = torch.cholesky_solve(gradient[:, :, :-1].mT, self._factor).mT
        return torch.cat([weight, self.classes * gradient[:, :, -1:]], dim=2)

    def squared_norm(self, gradient: Tensor) -> Tensor:
        """``[B, 1, 1]``: of the gradient that the weights would have at the best bias, at the most.

        Moving the bias by its Newton step changes the weights' gradient by about the bias's gradient times a mean
        of the features; where l2 is large, the bias's own lack counts, its curvature being about 1 / C.
        """
        bias = gradient[:, :, -1:]
        return dot(gradient, gradient) + (self.feature_square + self.l2 * self.classes) * dot(bias, bias)

    def logits(self, theta: Tensor) -> Tensor:
        """``[B, C, D + 1]`` -> ``[B, C, n]``."""
        return torch.baddbmm(theta[:, :, -1:], theta[:, :, :-1], self.features.mT)

    def partition_and_gradient(self, point: Point) -> tuple[Tensor, Tensor]:
        """``mean_i logsumexp(logits_i)`` ``[B, 1, 1]``, and the objective's gradient ``[B, C, D + 1]``."""
        partition = point.logits.logsumexp(dim=1, keepdim=True)
        residual = ((point.logits - partition).exp_() - self.targets) / self.samples
        weight = torch.baddbmm(point.theta[:, :, :-1], residual, self.features, beta=self.l2)
        gradient = torch.cat([weight, residual.sum(dim=2, keepdim=True)], dim=2)
        return partition.mean(dim=2, keepdim=True), gradient

    def along(self, point: Point, direction: Tensor, logits_change: Tensor) -> Line:
        """The line from ``point`` along ``direction`` ``[B, C, D + 1]``, whose logits are ``logits_change``."""
        weight, weight_change = point.theta[:, :, :-1], direction[:, :, :-1]
        linear = self.l2 * dot(weight, weight_change) - dot(self.targets, logits_change) / self.samples
        return Line(point.logits, logits_change, linear, self.l2 * dot(weight_change, weight_change))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """``[B, 1, 1]``: the inner product of each fit's matrices."""
    return (a * b).sum(dim=(1, 2), keepdim=True)
