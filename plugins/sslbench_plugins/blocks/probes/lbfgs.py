"""Full-batch L-BFGS for logistic regression (Nocedal and Wright, Numerical Optimization, algorithm 7.4), with a
preconditioner and an exact-slope line search from ``logistic_objective``.

Nothing but the convergence check waits for the device, once in ``CHECK_EVERY`` steps on an accelerator.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

from sslbench_plugins.blocks.probes.logistic_objective import Objective, Point, dot

HISTORY = 10
CHECK_EVERY = 5


class StoppingRule(NamedTuple):
    """When a fit is finished: see ``fit_logistic``."""

    tolerance: float = 1e-6
    """nats"""
    gain: float = 0.0
    """nats"""
    max_steps: int = 1000


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
