"""Losses whose gradient was computed together with their value: autograd is given it instead of a graph."""

from __future__ import annotations

import torch
from torch import Tensor


def with_gradient(loss: Tensor, variable: Tensor, gradient: Tensor) -> Tensor:
    """``loss``, a scalar, with ``gradient`` as its gradient by ``variable``; the two have one shape.

    The value stays exactly what it was: the inner product of variable and gradient, whose gradient is ``gradient``, is
    added and taken off again. Plain operations, since torch 2.11 cannot compile an ``autograd.Function`` without a
    warning. Differentiable once.
    """
    product = torch.dot(variable.flatten(), gradient.flatten())
    return loss + (product - product.detach())
