"""Batch norm over the images of all ranks: N ranks of B images have the statistics of one with N * B."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sslbench.train.ranks import every_rank, ranks

batch_norm_of_one = functional.batch_norm


@contextmanager
def shared_batch_statistics() -> Iterator[None]:
    """Within it, batch norm in training mode takes its statistics over all ranks, whatever module it is part of: they
    all go through one function of torch."""
    if ranks() == 1:
        yield
        return
    functional.batch_norm = _shared
    try:
        yield
    finally:
        functional.batch_norm = batch_norm_of_one


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As torch's function of this name, over the images of all ranks, of which each has equally many."""
    if not training or ranks() == 1:
        return batch_norm_of_one(input, running_mean, running_var, weight, bias, training, momentum, eps)
    mean, variance = statistics(input)
    if running_mean is not None and running_var is not None:
        count = input.numel() // input.shape[1] * ranks()
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((variance * (count / max(1, count - 1))).to(running_var.dtype), momentum)
    normalised: Tensor = _Normalise.apply(input, weight, bias, mean, variance, eps)
    return normalised


_shared = batch_norm


def outside_graphs() -> None:
    """From now on a compiled method leaves its graph for a shared batch norm, and comes back."""
    global _shared
    _shared = torch.compiler.disable(batch_norm)  # type: ignore[no-untyped-call]


@torch.no_grad()
def statistics(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel of ``[B, C, ...]`` over all ranks, float32 ``[C]`` each."""
    dtype = torch.float32 if values.dtype in (torch.bfloat16, torch.float16) else values.dtype
    # What these hold is not looked at; their type is that of the sums.
    unused = torch.zeros(values.shape[1], dtype=dtype, device=values.device)
    own = torch.stack(torch.batch_norm_update_stats(values, unused, unused.clone(), 0.0))
    means, variances = torch.stack(every_rank(own)).unbind(1)
    mean = means.mean(0)
    # The difference of two large sums would lose digits.
    return mean, variances.mean(0) + (means - mean).square().mean(0)


class _Normalise(torch.autograd.Function):
    """``(x - mean) / sqrt(variance + eps) * weight + bias``, where mean and variance are those of all ranks' x.

    With n values in a channel, the gradient dx is ``s * (dy - sum(dy) / n - z * sum(dy * z) / n)`` for the normalised
    value z and ``s = weight / sqrt(variance + eps)``: that of fixed statistics, and two terms linear in x.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps = eps
        return batch_norm_of_one(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        scale = torch.ones_like(mean) if weight is None else weight
        fixed = torch.ops.aten.native_batch_norm_backward(
            gradient, x, scale, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        dx, of_weight, of_bias = fixed
        sums = torch.stack(every_rank(torch.stack([of_weight, of_bias]))).sum(0)
        along, shift = sums / (x.numel() // x.shape[1] * ranks())
        inverse = (variance + ctx.eps).rsqrt()
        slope = -scale * inverse.square() * along
        offset = -scale * inverse * shift - slope * mean
        shape = [1, -1, *[1] * (x.ndim - 2)]
        dx.addcmul_(x, slope.view(shape)).add_(offset.view(shape))
        needed = ctx.needs_input_grad
        return dx, of_weight if needed[1] else None, of_bias if needed[2] else None, None, None, None
