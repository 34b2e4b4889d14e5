"""Which random numbers a function draws: what every image of a batch must have of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode

TIMES, ENOUGH = 240, 48
"""draws that are tried, and those in which copies are not alike that are enough to compare them: two that share nothing
are alike in all of these by a chance of less than one in a million, where each is changed one time in five"""
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


def not_apart(draw: Callable[[Generator], Tensor]) -> str:
    """How the rows of ``draw(generator)``, ``[B, ...]`` of B copies, fail to have a draw each, time after time; empty
    where they do, and where they are too seldom different to say."""
    found: list[Tensor] = []
    for seed in range(TIMES):
        rows = draw(Generator().manual_seed(seed)).flatten(1)
        if found and rows.shape != found[0].shape:  # of targets, whose size is drawn for the batch
            continue
        if differ(rows, rows[:1].expand_as(rows)):
            found.append(rows)
        if len(found) == ENOUGH:
            break
    else:
        return ""
    times = torch.stack(found, dim=1)
    for first, second in combinations(range(len(times)), 2):
        if not differ(times[first], times[second]):
            return f"the draws of images {first} and {second} of a batch are always the same"
    fixed = [row for row, drawn in enumerate(times) if not differ(drawn, drawn[:1].expand_as(drawn))]
    return f"nothing is ever drawn for image {fixed[0]} of a batch" if fixed else ""


def stands_still(draw: Callable[[Generator], Tensor]) -> bool:
    """Whether the same is drawn twice in a row with one generator, whatever its state is and that draws."""
    at_first, others = None, 0
    for seed in range(TIMES):
        generator = Generator().manual_seed(seed)
        drawn = draw(generator).clone()
        if differ(drawn, draw(generator)):
            return False
        at_first = drawn if at_first is None else at_first
        others += differ(drawn, at_first)
        if others == 8:
            return True
    return False


def differ(first: Tensor, second: Tensor) -> bool:
    """Whether two results are not the same, bit for bit; NaN equals NaN."""
    return first.shape != second.shape or first.dtype != second.dtype or not same_values(first, second)


def same_values(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of one shape are equal."""
    return torch.equal(first, second) or bool(((first == second) | ((first != first) & (second != second))).all())
