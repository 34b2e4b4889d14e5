"""iBOT's masked self-distillation: cross-entropy between what a teacher says of a patch that it sees and what a student
says of the same patch, which is masked (Zhou et al. 2022, equation 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sslbench import mean_over_ranks
from sslbench_plugins.blocks.objectives.numerics import with_gradient

CHUNK_BYTES = 64 << 20
"""of logits at a time"""


@dataclass(frozen=True)
class MaskedPatches:
    """Of R large crops with N patches each, at most T of all R * N masked."""

    mask: Tensor  # bool [R, N], True = masked
    chosen: Tensor  # int64 [T]: of all R * N patches, row by row, the masked ones, filled up with visible ones
    weights: Tensor  # float32 [T]: of a masked one 1 / R over the number of them in its crop, else 0

    @classmethod
    def of(cls, masks: Sequence[Tensor], most: int | None) -> MaskedPatches:
        """Of the masks of some crops, ``[B, N]`` each, of which ``most`` patches at most are masked (None: all may be):
        nothing waits for the device to count them."""
        mask = torch.cat(list(masks))
        chosen = mask.flatten().to(torch.uint8).argsort(descending=True, stable=True)[:most]
        weights = mask / (len(mask) * mask.sum(dim=1, keepdim=True).clamp(min=1))
        return cls(mask, chosen, weights.flatten()[chosen])

    def gather(self, tokens: Tensor) -> Tensor:
        """``[R, N, D]`` -> those of the chosen patches, ``[T, D]``."""
        return tokens.flatten(0, 1).index_select(0, self.chosen)

    @property
    def share(self) -> Tensor:
        """Of the crops of all ranks, those of which something is masked: a scalar."""
        return mean_over_ranks(self.mask.any(dim=1).float().mean())

    def mean(self, values: Tensor) -> Tensor:
        """Of values ``[T]``: over the masked patches of a crop, then over the crops that have any, of all ranks."""
        return mean_over_ranks((values * self.weights).sum()) / self.share.clamp(min=torch.finfo(torch.float32).tiny)


def masked_distillation(students: Tensor, targets: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Sum over rows of ``-weights * sum(targets * log_softmax(students / temperature))``. With the weights of
    ``MaskedPatches`` it is the mean over crops of the mean over their masked patches; a crop without any counts as 0,
    as in the codes of iBOT and DINOv2.

    ``students``: logits ``[T, K]``, float32 or more; ``targets``: probabilities of that shape; ``weights``: ``[T]``.
    Differentiable once, in the students only.
    """
    loss, gradient = loss_and_gradient(students.detach(), targets, weights, temperature)
    return with_gradient(loss, students, gradient) if students.requires_grad else loss


@torch.no_grad()
def loss_and_gradient(students: Tensor, targets: Tensor, weights: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The weighted sum over rows ``[n, K]``, some of them at a time, and its gradient."""
    gradient = torch.empty_like(students)
    total = students.new_zeros(())
    chunk = max(16, CHUNK_BYTES // (students.element_size() * students.shape[1]))
    for rows in (slice(start, start + chunk) for start in range(0, len(students), chunk)):
        logits, weight = students[rows] / temperature, weights[rows].to(students.dtype)
        right = (targets[rows] * logits).sum(dim=1)
        top = logits.amax(dim=1, keepdim=True)
        sums = logits.sub_(top).exp_().sum(dim=1, keepdim=True)
        total += torch.dot(weight, (sums.log() + top).squeeze(1) - right)
        torch.div(logits, sums, out=gradient[rows])
        gradient[rows].sub_(targets[rows]).mul_(weight.unsqueeze(1) / temperature)
    return total, gradient
