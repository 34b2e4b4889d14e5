"""Which random numbers a function draws: what every image of a batch must have of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

SEEDS = 2**31
"""integers up to here and beyond are seeds of other generators, not parameters"""
RANDOM = frozenset(
    "rand randn randint randperm uniform_ normal normal_ random_ bernoulli bernoulli_ multinomial exponential_"
    " log_normal_ cauchy_ geometric_ poisson".split()
)
"""operations of torch that draw"""


class Drawn(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts draws by operation and shape while it is open."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[tuple[str, tuple[int, ...]]] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        of_seeds = name in ("randint", "random_") and any(isinstance(a, int) and a >= SEEDS - 1 for a in args)
        if name in RANDOM and isinstance(result, Tensor) and result.numel() and not of_seeds:
            self.counts[name, tuple(result.shape)] += 1
        return result


def shared_draws(draw: Callable[[int], object]) -> list[str]:
    """The draws of ``draw(batch)`` that are as many for two images as for seven, such as ``rand [1]``: one for all."""
    counts = []
    for batch in (2, 7):
        with Drawn() as drawn:
            draw(batch)
        counts.append(drawn.counts)
    few, many = counts
    same = [key for key in few if few[key] == many[key]]
    return sorted(f"{name.rstrip('_')} {list(shape)}" for name, shape in same)


def differ(first: Tensor, second: Tensor) -> bool:
    """Whether two results are not the same, bit for bit; NaN equals NaN."""
    return first.shape != second.shape or first.dtype != second.dtype or not same_values(first, second)


def same_values(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of one shape are equal."""
    return torch.equal(first, second) or bool(((first == second) | ((first != first) & (second != second))).all())
