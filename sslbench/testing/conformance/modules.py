"""Networks before and after: what a call may not change, and what two of them may not share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sslbench.testing.conformance.draws import differ

Tensors = Mapping[str, Tensor]


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Copies of its parameters and buffers, those that are not saved included."""
    named = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: tensor.detach().clone() for name, tensor in named.items()}


def changed(before: Tensors, after: Tensors) -> list[str]:
    """Names of what is not the same."""
    return [name for name in before if name not in after or differ(before[name], after[name])] + [
        name for name in after if name not in before
    ]


def modes_of(module: nn.Module) -> dict[str, bool]:
    """Name -> whether it is in training mode."""
    return {name: part.training for name, part in module.named_modules()}


def frozen_in(module: nn.Module) -> set[str]:
    """Names of the parameters without a gradient."""
    return {name for name, p in module.named_parameters() if not p.requires_grad}


def shared_memory(first: nn.Module, second: nn.Module) -> list[str]:
    """Names of the tensors of the second that lie in the memory of the first."""
    own = {tensor.data_ptr() for tensor in (*first.parameters(), *first.buffers()) if tensor.numel()}
    named = {**dict(second.named_parameters()), **dict(second.named_buffers())}
    return [name for name, tensor in named.items() if tensor.numel() and tensor.data_ptr() in own]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's global generator begins with a seed, and is put back."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


def relative(first: Tensor, second: Tensor) -> float:
    """Length of the difference as a share of that of the second."""
    first, second = first.double(), second.double()
    return float((first - second).norm() / second.norm().clamp_min(1e-12))
