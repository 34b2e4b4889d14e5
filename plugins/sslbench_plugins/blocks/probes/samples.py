"""Which images are used, and how many labels of each class: the same for every method."""

from __future__ import annotations

from typing import Annotated, NamedTuple, Self

import torch
from pydantic import AfterValidator, Field, model_validator
from torch import Generator, Tensor

from sslbench import Params
from sslbench_plugins.blocks.studies.listed import Several


def evenly_spaced(count: int, most: int) -> Tensor:
    """int64 ``[min(count, most)]``: ascending indices below ``count``, which no order of classes biases."""
    size = min(count, most)
    return (torch.arange(size) * count + count // 2) // max(size, 1)


def class_counts(labels: Tensor, classes: int) -> Tensor:
    """How many samples each class has: int64 ``[classes]``."""
    counts = torch.zeros(classes, dtype=torch.int64, device=labels.device)
    return counts.scatter_add_(0, labels, torch.ones_like(labels))


def random_rank_in_class(labels: Tensor, classes: int, generator: Generator) -> Tensor:
    """A random order of the samples of each class: int64 ``[N]``, from 0, on the labels' device.

    ``labels``: int64 ``[N]``, 0..classes-1. ``rank < n`` picks n of every class that has as many, and a larger n
    keeps what a smaller one picked. With a generator of the CPU the ranks are the same on every device.
    """
    keys = torch.rand(len(labels), generator=generator, dtype=torch.float64, device=generator.device)
    order = (labels + keys.to(labels.device)).argsort(stable=True)
    counts = class_counts(labels, classes)
    first = counts.cumsum(0) - counts
    ranks = torch.empty_like(labels)
    ranks[order] = torch.arange(len(labels), device=labels.device) - first[labels[order]]
    return ranks


def draw_ranks(labels: Tensor, classes: int, draws: int, seed: int) -> Tensor:
    """int64 ``[draws, N]``: ``< n`` are the samples that a draw of n labels a class takes; larger n contain smaller.

    The first draws are the same however many there are, so that evaluators with fewer draws share them.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([random_rank_in_class(labels, classes, generator) for _ in range(draws)])


def share_of_each(counts: Tensor, share: float) -> Tensor:
    """int64 ``[classes]``: a share (0, 1] of each, rounded, at least one where there is one."""
    return (counts * share).round().long().clamp_min(1).minimum(counts)


def why_too_few(number: int, available: Tensor) -> str:
    """A line with the class that has the fewest labels, where these are fewer than ``number``; else empty."""
    rarest = int(available.argmin())
    count = int(available[rarest])
    return f"class {rarest} has only {count} of {number} labels" if count < number else ""


def each_once(name: str) -> AfterValidator:
    """Annotates a tuple whose values must differ; ``name`` is what the error calls one of them."""

    def check(values: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"name each {name} once")
        return values

    return AfterValidator(check)


class LabelAmount(NamedTuple):
    """So many labels of each class."""

    name: str
    """such as ``2`` or ``10%``, the end of the metrics' names"""
    per_class: Tensor
    """int64 ``[classes]``"""
    share: float | None
    """of the labels, in (0, 1]; None for a number of each class"""
    reason: str = ""
    """one line where there are not as many"""

    def drawn(self, ranks: Tensor, labels: Tensor) -> Tensor:
        """bool ``[draws, N]``: the labelled images of each draw; ``ranks`` as ``draw_ranks`` returns them."""
        return ranks < self.per_class[labels]


Number = Annotated[int, Field(ge=1, strict=True)]
Share = Annotated[float, Field(gt=0, le=1, strict=True)]
LabelNumbers = Annotated[tuple[Number, ...], Several, each_once("number of labels")]
LabelShares = Annotated[tuple[Share, ...], Several, each_once("share of labels")]


class LabelAmountParams(Params):
    """How many labels of each class may be used: numbers, ``2+13``, and shares of those there are, ``0.01+0.1``."""

    labels: LabelNumbers = ()
    shares: LabelShares = ()

    @model_validator(mode="after")
    def _some_amount(self) -> Self:
        if not self.labels and not self.shares:
            raise ValueError("name at least one number of labels, or one share of them")
        return self

    def amount_names(self) -> list[str]:
        """Numbers as they are, then shares in percent: ``12.5%``."""
        return [*map(str, self.labels), *(f"{100 * share:g}%" for share in self.shares)]

    def amounts(self, labels: Tensor, classes: int) -> list[LabelAmount]:
        """In the order of their names, of the labels int64 ``[N]``."""
        available = class_counts(labels, classes)
        numbers = [(torch.full_like(available, n), None, why_too_few(n, available)) for n in self.labels]
        shares = [(share_of_each(available, share), share, "") for share in self.shares]
        return [LabelAmount(name, *rest) for name, rest in zip(self.amount_names(), [*numbers, *shares], strict=True)]
