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
    """Of R large crops with N patches each."""

    mask: Tensor  # bool [R, N], True = masked
    chosen: Tensor  # int64 [R, n]: patches, the masked ones first, filled up with visible ones
    weights: Tensor  # float32 [R, n]: of a masked one 1 over the number of them in its row, else 0

    @classmethod
    def of(cls, masks: Sequence[Tensor], most: int) -> MaskedPatches:
        """Of the masks of some crops, ``[B, N]`` each, with at most ``most`` masked patches in a row. Every row gets as
        many: nothing waits for the device to count them."""
        mask = torch.cat(list(masks))
        chosen = mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
        masked = mask.gather(1, chosen).float()
        return cls(mask, chosen, masked / masked.sum(dim=1, keepdim=True).clamp(min=1))

    @property
    def share(self) -> Tensor:
        """Of the crops of all ranks, those of which something is masked: a scalar."""
        return mean_over_ranks((self.weights > 0).any(dim=1).float().mean())

    def mean(self, values: Tensor) -> Tensor:
        """Of values ``[R, n]``: over the masked patches of a crop, then over the crops that have any, of all ranks."""
        total = mean_over_ranks((values * self.weights).sum() / len(values))
        return total / self.share.clamp(min=torch.finfo(torch.float32).tiny)


def masked_distillation(students: Tensor, targets: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Mean over the R crops of the mean over their masked patches of ``-sum(targets * log_softmax(students /
    temperature))``; a crop without masked patches counts as 0, as in the codes of iBOT and DINOv2.

    ``students``: logits ``[R, n, K]``, float32 or more; ``targets``: probabilities of that shape; ``weights``:
    ``[R, n]``, as of ``MaskedPatches``. Differentiable once, in the students only.
    """
    rows = students.detach().flatten(0, 1), targets.flatten(0, 1), weights.flatten() / len(weights)
    loss, gradient = loss_and_gradient(*rows, temperature)
    return with_gradient(loss, students, gradient.view_as(students)) if students.requires_grad else loss


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
