"""Features that the evaluators' tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sslbench import EvaluationData, FeatureSet


def make_clusters(
    *, per_class: int = 30, classes: int = 3, width: int = 6, spread: float = 1.0, seed: int = 0
) -> EvaluationData:
    """``classes`` Gaussian clouds around random centres, as many test as training samples, in random order."""
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(classes, width, generator=generator)
    parts = []
    for _ in range(2):
        labels = torch.arange(classes).repeat_interleave(per_class)
        labels = labels[torch.randperm(len(labels), generator=generator)]
        noise = spread * torch.randn(len(labels), width, generator=generator)
        parts.append(FeatureSet(centres[labels] + noise, labels))
    return EvaluationData(*parts, classes=classes, seed=0)


@pytest.fixture
def clusters() -> Callable[..., EvaluationData]:
    return make_clusters
