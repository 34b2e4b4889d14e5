"""How well pixels are classified: counts of true against predicted, and the scores that follow from them."""

from __future__ import annotations

import torch
from torch import Tensor

NOT_SCORED = -1
"""in the place of a class"""


def confusion(true: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """int64 ``[classes, classes]``: how many pixels of each true class (row) got each prediction (column).

    ``true``, ``predicted``: int64 of one shape, 0..classes-1; pixels whose ``true`` is NOT_SCORED do not count.
    """
    scored = true != NOT_SCORED
    cells = true[scored] * classes + predicted[scored]
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=true.device)
    return counts.scatter_add_(0, cells, torch.ones_like(cells)).view(classes, classes)


def mean_iou(counts: Tensor) -> float | None:
    """Intersection over union of each class, over all pixels together, averaged over the classes that are true of
    a pixel; None where no pixel is scored. ``counts`` as ``confusion`` returns them."""
    right, true = counts.diagonal().double(), counts.sum(dim=1).double()
    union = true + counts.sum(dim=0) - right
    present = true > 0
    return float((right[present] / union[present]).mean()) if bool(present.any()) else None


def pixel_accuracy(counts: Tensor) -> float | None:
    """Share of the scored pixels that are right; None where no pixel is scored."""
    total = int(counts.sum())
    return float(counts.diagonal().sum()) / total if total else None
