"""The objective of multinomial logistic regression, its gradient, its preconditioner, and a step along a line.

The logits along a search direction are ``F - t G``, so a line search is one-dimensional and costs no product with the
features. The preconditioner is ``(X'X / (C n) + l2 I)^-1``, the exact inverse Hessian at uniform predictions
(Boehning 1992, Ann. Inst. Stat. Math. 44), which takes away most of the effect of correlated features.

Classes come before samples in every tensor: softmax and sums over a few classes are then vectorised over samples.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

ENOUGH = 0.1
"""share of what the slope promises that a step has to win (Armijo's rule)"""
SHORTEST_ROOT = 0.04
"""of the discriminant, which makes a step at most 5/3 of Newton's"""


class Point(NamedTuple):
    """Parameters of ``B`` fits and what they give."""

    theta: Tensor
    """``[B, C, D + 1]``, the bias in the last column"""
    logits: Tensor
    """``[B, C, n]``"""
    probabilities: Tensor
    """``[B, C, n]``"""
    gradient: Tensor
    """``[B, C, D + 1]``"""


class Objective:
    """``mean_i CE(W x_i + b, y_i) + l2 / 2 ||W||^2`` of ``B`` fits of equal size."""

    def __init__(self, features: Tensor, labels: Tensor, classes: int) -> None:
        """``features``: float ``[B, n, D]``; ``labels``: int64 ``[B, n]``, 0..classes-1."""
        self.features, self.labels, self.classes, self.l2 = features, labels[:, None], classes, 0.0
        self.samples = features.shape[1]
        # The norm of flat rows takes no copy of the features.
        square = torch.linalg.vector_norm(features.flatten(1), dim=1).square()
        self._feature_square: Tensor = square[:, None, None] / self.samples
        self._targets = F.one_hot(labels, classes).mT.to(features.dtype, memory_format=torch.contiguous_format)
        # X'X / (C n) only steers the search: some rows, evenly spread, are enough.
        rows = features[:, :: max(1, self.samples // max(1024, 4 * features.shape[2]))]
        self._uniform_hessian = F.pad(torch.div(rows.mT @ rows, classes * rows.shape[1]), (0, 1, 0, 1))

    def with_l2(self, l2: float) -> Objective:
        """This objective, from now on with this ``l2``."""
        self.l2 = l2
        hessian = self._uniform_hessian.clone()
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        # Rounding must not meet a zero pivot where l2 is far below the largest entry.
        diagonal += l2 + 10 * torch.finfo(hessian.dtype).eps * diagonal.sum(dim=1, keepdim=True)
        diagonal[:, -1] = 1 / self.classes
        # Asking whether it failed would wait for the device; without numbers no fit converges.
        factor, failed = torch.linalg.cholesky_ex(hessian)
        self._factor = factor.masked_fill_(failed.bool()[:, None, None], torch.nan)
        return self

    def precondition(self, gradient: Tensor) -> Tensor:
        """``[B, C, D + 1]`` times the inverse Hessian at uniform predictions."""
        return torch.cholesky_solve(gradient.mT, self._factor).mT

    def squared_norm(self, gradient: Tensor) -> Tensor:
        """``[B, 1, 1]``: of the gradient that the weights would have at the best bias, at the most.

        Moving the bias by its Newton step changes the weights' gradient by about the bias's gradient times a mean
        of the features; where l2 is large, the bias's own lack counts, its curvature being about 1 / C.
        """
        bias = gradient[:, :, -1:]
        return dot(gradient, gradient) + (self._feature_square + self.l2 * self.classes) * dot(bias, bias)

    def logits(self, theta: Tensor) -> Tensor:
        """``[B, C, D + 1]`` -> ``[B, C, n]``."""
        return torch.baddbmm(theta[:, :, -1:], theta[:, :, :-1], self.features.mT)

    def value(self, theta: Tensor, logits: Tensor) -> Tensor:
        """``[B, 1, 1]``"""
        likelihood = logits.log_softmax(dim=1).gather(1, self.labels).mean(dim=2, keepdim=True)
        return self.l2 / 2 * dot(theta[:, :, :-1], theta[:, :, :-1]) - likelihood

    def at(self, theta: Tensor, logits: Tensor) -> Point:
        """The point with these parameters, whose logits are ``logits``."""
        probabilities = logits.softmax(dim=1)
        residual = probabilities - self._targets
        weight = torch.baddbmm(theta[:, :, :-1], residual, self.features, beta=self.l2, alpha=1 / self.samples)
        gradient = torch.cat([weight, residual.mean(dim=2, keepdim=True)], dim=2)
        return Point(theta, logits, probabilities, gradient)

    def step(self, point: Point, value: Tensor, direction: Tensor, slope: Tensor) -> tuple[Tensor, Tensor, Point]:
        """Go back along ``direction`` ``[B, C, D + 1]``, along which the objective, ``value`` ``[B, 1, 1]``, rises by
        ``slope``. Returns what was taken off the parameters, a bound of the value that is reached, and the new point.

        The step is Newton's for the line, corrected once. Where it wins too little, it is the one that the largest
        possible curvature allows: half of the squared length of the logits' change (a variance is at most a quarter
        of a squared range).
        """
        change = self.logits(direction)
        weighted = point.probabilities * change
        mean = weighted.sum(dim=1, keepdim=True)
        variance = dot(weighted, change) - dot(mean, mean)
        tiny, noise = torch.finfo(value.dtype).tiny, 10 * torch.finfo(value.dtype).eps
        penalty = self.l2 * dot(direction[:, :, :-1], direction[:, :, :-1])
        newton = slope / torch.add(penalty, variance, alpha=1 / self.samples).clamp_min(tiny)
        safe = slope / torch.add(penalty, dot(change, change), alpha=0.5 / self.samples).clamp_min(tiny)
        # The root of the parabola through the slope, its derivative here and itself at the end of Newton's step.
        turned = dot(point.probabilities - less(point.logits, newton, change).softmax(dim=1), change)
        share = torch.add(newton * penalty, turned, alpha=1 / self.samples) / slope
        length = 2 * newton / (1 + (4 * share - 3).clamp_min(SHORTEST_ROOT).sqrt())
        reached = self.value(less(point.theta, length, direction), less(point.logits, length, change))
        enough = reached <= torch.addcmul((1 + noise) * value + noise, length, slope, value=-ENOUGH)
        length = torch.where(enough, length, safe)
        moved, bound = length * direction, torch.where(enough, reached, value)
        return moved, bound, self.at(point.theta - moved, less(point.logits, length, change))


def less(start: Tensor, length: Tensor, direction: Tensor) -> Tensor:
    """``start - length * direction``"""
    return torch.addcmul(start, length, direction, value=-1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """``[B, 1, 1]``: the inner product of each fit's matrices."""
    return (a * b).sum(dim=(1, 2), keepdim=True)
