"""Numerics of losses: a gradient that was computed together with the value, and float32 under autocast."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _KnownGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Tensor, variable: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, by_loss: Tensor) -> tuple[Tensor, Tensor, None]:
        return by_loss, by_loss * ctx.saved_tensors[0], None


def with_gradient(loss: Tensor, variable: Tensor, gradient: Tensor) -> Tensor:
    """``loss``, a scalar, with ``gradient`` as its gradient by ``variable``, of the same shape. Differentiable once."""
    if torch.compiler.is_compiling():
        # torch 2.11 cannot compile an autograd.Function without a warning. Plain operations leave the value exactly as
        # it was; eager, their pass over both tensors would cost DINO's loss a tenth of its time.
        product = torch.dot(variable.flatten(), gradient.flatten())
        return loss + (product - product.detach())
    attached: Tensor = _KnownGradient.apply(loss, variable, gradient)
    return attached


def full_precision(like: Tensor) -> torch.autocast:
    """A context without autocast on the device of ``like``: logits divided by a small temperature need float32."""
    # Autocast knows no meta device, on which arithmetic is counted.
    return torch.autocast("cuda" if like.is_cuda else "cpu", enabled=False)


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor itself, or in float32 where it has fewer bits."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
