from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

from sslbench_plugins.evaluators.dense_segmentation import (
    NOT_SCORED,
    confusion,
    mean_iou,
    pixel_accuracy,
)


def random_classes(seed, classes=5, true_classes=4, ignored=0.2):
    generator = torch.Generator().manual_seed(seed)
    true = torch.randint(0, true_classes, (3, 8, 8), generator=generator)
    predicted = torch.where(
        torch.rand(true.shape, generator=generator) < 0.6, true, torch.randint(0, classes, true.shape)
    )
    return true.masked_fill(torch.rand(true.shape, generator=generator) < ignored, NOT_SCORED), predicted


@pytest.mark.parametrize("seed", range(4))
def test_counts_and_scores_are_scikit_learns(seed):
    """A class that is predicted somewhere and true nowhere lowers the others and is not averaged over."""
    true, predicted = random_classes(seed)
    counts = confusion(true, predicted, 5)
    scored = true != NOT_SCORED
    y, p = true[scored].numpy(), predicted[scored].numpy()
    assert counts.tolist() == confusion_matrix(y, p, labels=range(5)).tolist()
    assert mean_iou(counts) == pytest.approx(jaccard_score(y, p, labels=sorted(set(y)), average="macro"))
    assert pixel_accuracy(counts) == pytest.approx(accuracy_score(y, p))


def test_counts_of_parts_add_up():
    true, predicted = random_classes(0)
    parts = [confusion(t, p, 5) for t, p in zip(true, predicted, strict=True)]
    assert torch.equal(sum(parts), confusion(true, predicted, 5))


def test_pixels_that_are_not_scored_do_not_count():
    assert not confusion(torch.full((2, 2), NOT_SCORED), torch.zeros(2, 2, dtype=torch.int64), 3).any()


def test_all_right_is_one_and_all_wrong_is_zero():
    true = torch.tensor([0, 1, 1, 2])
    assert mean_iou(confusion(true, true, 3)) == 1
    assert mean_iou(confusion(true, (true + 1) % 3, 3)) == 0
