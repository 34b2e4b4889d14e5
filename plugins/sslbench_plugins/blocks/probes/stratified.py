"""Random choices that treat every class alike."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


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


def class_counts(labels: Tensor, classes: int) -> Tensor:
    """How many samples each class has: int64 ``[classes]``."""
    ones = torch.ones_like(labels)
    return torch.zeros(classes, dtype=torch.int64, device=labels.device).scatter_add_(0, labels, ones)


def draw_ranks(labels: Tensor, classes: int, draws: int, seed: int) -> Tensor:
    """int64 ``[draws, N]``: ``< n`` are the samples that a draw of n labels a class takes; larger n contain smaller.

    The first draws are the same however many there are, so that evaluators with fewer draws share them.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([random_rank_in_class(labels, classes, generator) for _ in range(draws)])


def share_of_each(counts: Tensor, share: float) -> Tensor:
    """How many samples of each class a share of the labels is: rounded, at least one where there is one. int64
    ``[classes]``; ``share`` in (0, 1]."""
    return (counts * share).round().long().clamp_min(1).minimum(counts)
