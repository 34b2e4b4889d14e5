"""Arithmetic of one training step, counted without doing it."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sslbench.contracts.method import Method, Progress


def step_flops_per_image(
    method: Method, batch_size: int, masks: Sequence[Tensor] = (), labels: bool = False
) -> float | None:
    """Floating-point operations per source image of forward and backward, a multiply-add counted as two; None where a
    method cannot run on the meta device, on which a copy of it is counted without memory or arithmetic.

    ``masks``: of such a batch, as the method asks for them.

    Matrix products, convolutions and attention only, as torch's ``FlopCounterMode`` knows them; views, norms,
    optimizer and moving averages are not in it.
    """
    state = torch.random.get_rng_state()
    try:
        shadow = on_meta(method).train()
        shadow.most_masked = sum(int(mask.sum()) for mask in masks if mask.dtype == torch.bool)
        views = [torch.empty(batch_size, 3, v.size, v.size, device="meta") for v in shadow.views]
        arguments = {"labels": torch.empty(batch_size, dtype=torch.int64, device="meta")} if labels else {}
        counter = FlopCounterMode(display=False)
        with counter:
            loss, _ = shadow(
                views, masks=[mask.to("meta") for mask in masks], progress=Progress(0, 1, 0, 1), **arguments
            )
            loss.backward()
        return counter.get_total_flops() / batch_size
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return None
    finally:
        torch.random.set_rng_state(state)


def on_meta(method: Method) -> Method:
    """A copy without numbers. No tensor of the method is copied on the way, and none of the copy holds memory."""
    memo: dict[int, object] = {}
    parts = (method, *method.learns_from)
    for tensor in (tensor for part in parts for tensor in (*part.parameters(), *part.buffers())):
        empty = torch.empty_like(tensor, device="meta")
        trained = isinstance(tensor, torch.nn.Parameter)
        memo[id(tensor)] = torch.nn.Parameter(empty, tensor.requires_grad) if trained else empty
    return copy.deepcopy(method, memo).to("meta")
