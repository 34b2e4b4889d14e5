"""Exponential moving averages (EMA) of networks: MoCo's momentum encoder, BYOL's target, DINO's teacher."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def ema_copy(network: Module) -> Module:
    """A copy of ``network`` that no optimizer trains."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def ema_update(average: nn.Module, network: nn.Module, momentum: float) -> None:
    """``average = momentum * average + (1 - momentum) * network`` for every parameter, in one pass, without a copy.

    Parameters only: batch norm keeps statistics of its own in each network, as in the codes of MoCo, BYOL and DINO.
    """
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - momentum)
