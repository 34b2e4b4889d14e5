"""Numerics of losses: a gradient that was computed together with the value, and float32 under autocast."""

from __future__ import annotations

import torch
from torch import Tensor


def with_gradient(loss: Tensor, variable: Tensor, gradient: Tensor) -> Tensor:
    """``loss``, a scalar, with ``gradient`` as its gradient by ``variable``, of the same shape. Differentiable once.

    The inner product of variable and gradient is added and taken off again, so the value stays exactly what it was.
    Plain operations: torch 2.11 cannot compile an ``autograd.Function`` without a warning.
    """
    product = torch.dot(variable.flatten(), gradient.flatten())
    return loss + (product - product.detach())


def full_precision(like: Tensor) -> torch.autocast:
    """A context without autocast on the device of ``like``: logits divided by a small temperature need float32."""
    # Autocast knows no meta device, on which arithmetic is counted.
    return torch.autocast("cuda" if like.is_cuda else "cpu", enabled=False)
