"""A network that follows another one: BYOL's target, MoCo's key encoder, DINO's teacher."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def follower(network: Module) -> Module:
    """A copy of ``network`` that no optimizer trains."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(target: nn.Module, online: nn.Module, momentum: float) -> None:
    """``target = momentum * target + (1 - momentum) * online`` for every parameter, in one pass and without a copy.

    Parameters only: batch norm keeps statistics of its own in each network, as in the codes of MoCo, BYOL and DINO.
    """
    torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), 1 - momentum)
