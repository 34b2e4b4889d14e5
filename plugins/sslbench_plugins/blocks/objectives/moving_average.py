"""Exponential moving averages (EMA) of networks: MoCo's momentum encoder, BYOL's target, DINO's teacher."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def ema_copy(network: Module) -> Module:
    """A copy of ``network`` that no optimizer trains."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def ema_update(average: nn.Module, network: nn.Module, momentum: float | Tensor) -> None:
    """``average = momentum * average + (1 - momentum) * network`` for every parameter, in one pass, without a copy.

    Parameters only: batch norm keeps statistics of its own in each network, as in the codes of MoCo, BYOL and DINO.
    """
    averages, weights = list[Tensor](average.parameters()), list[Tensor](network.parameters())
    if isinstance(momentum, Tensor):
        # One number for all would have to come to the host.
        shares = [(1 - momentum).to(averages[0].dtype)] * len(averages)
        torch._foreach_lerp_(averages, weights, shares)
    else:
        torch._foreach_lerp_(averages, weights, 1 - momentum)
