"""DINO's self-distillation loss: cross-entropy between a teacher's and a student's distribution over prototypes, over
all pairs of different views (Caron et al. 2021, equation 3 and algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sslbench import mean_over_ranks
from sslbench_plugins.blocks.objectives.numerics import with_gradient


def self_distillation(students: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Mean over the batch and over all pairs (t, v) of a teacher view t and a student view v != t of
    ``-sum(targets[t] * log_softmax(students[v] / temperature))``.

    ``students``: float32 logits ``[V, B, K]``, the teacher's views first; ``targets``: float32 probabilities
    ``[T, B, K]``, T <= V. Differentiable once, in the students only.
    """
    loss, gradient = loss_and_gradient(students, targets, temperature)
    return loss if gradient is None else with_gradient(loss, students, gradient)


@torch.no_grad()
def loss_and_gradient(students: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor | None]:
    """The loss and, where students need one, its gradient ``[V, B, K]``.

    With targets of teacher view t: ``p_t``, a student view with logits s and ``q = sum of p_t over t != its own`` (n of
    them) costs ``n * logsumexp(s) - <q, s>``; its gradient is ``n * softmax(s) - q``. So each student view is read
    once, however many teachers it has.
    """
    views, teachers = len(students), len(targets)
    pairs = sum(teachers - (view < teachers) for view in range(views))
    share = 1 / (pairs * students.shape[1])
    gradient = torch.empty_like(students) if students.requires_grad else None
    all_targets = targets.sum(dim=0)
    total = students.new_zeros(())
    for view in range(views):
        others = all_targets if view >= teachers else all_targets - targets[view]
        count = teachers - (view < teachers)
        if count == 0:
            if gradient is not None:
                gradient[view].zero_()
            continue
        logits = students[view] / temperature
        top = logits.amax(dim=1, keepdim=True)
        total -= torch.dot(others.flatten(), logits.flatten())
        sums = logits.sub_(top).exp_().sum(dim=1, keepdim=True)
        total += count * (sums.log() + top).sum()
        if gradient is not None:
            torch.mul(logits, count / sums, out=gradient[view])
            gradient[view].sub_(others).mul_(share / temperature)
    return total * share, gradient


def targets_of(teachers: Tensor, centre: Tensor | float, temperature: float | Tensor) -> Tensor:
    """Logits ``[T, B, K]`` -> centred and sharpened probabilities of that shape, without gradients."""
    return functional.softmax((teachers.detach() - centre) / temperature, dim=-1)


def by_size(views: Sequence[Tensor]) -> list[list[Tensor]]:
    """Views ``[B, 3, S, S]`` of any sizes -> neighbours of one size together, in order."""
    groups: list[list[Tensor]] = []
    for view in views:
        if groups and groups[-1][0].shape == view.shape:
            groups[-1].append(view)
        else:
            groups.append([view])
    return groups


@torch.no_grad()
def embedding_spread(embeddings: Tensor) -> Tensor:
    """Root of the summed per-dimension variance of the unit embeddings ``[B, D]``: a scalar, 0 when all images get
    one vector, near 1 when they point anywhere (Chen and He 2021, section 4.1, times the root of D). Over the images
    of all ranks."""
    directions = functional.normalize(embeddings.detach().float(), dim=1)
    mean = directions.mean(dim=0)
    within, between = directions.var(dim=0, unbiased=False), (mean - mean_over_ranks(mean)).square()
    return mean_over_ranks(within + between).sum().sqrt()
