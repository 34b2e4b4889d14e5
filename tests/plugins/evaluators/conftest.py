"""Features that the evaluators' tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch

from sslbench import EvaluationData, FeatureSet, Method, Split
from sslbench.evaluate.evaluated_model import TrainedModel
from sslbench.evaluate.features import extract_all
from sslbench.testing.fakes import TinyDataset, TinyReconstructor
from sslbench.train.data import make_splits


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


def make_scenes(
    dataset: Any = None,
    make: Callable[[int], Method] | None = None,
    *,
    seed: int = 0,
    precision: str = "fp32",
    device: str = "cpu",
) -> EvaluationData:
    """A data set and a method as evaluators with ``uses_model`` get them; a ``TinyDataset`` of 16 px and an untrained
    ``TinyReconstructor`` unless others are given. ``make`` returns the method as a seed initialises it."""

    def reconstructor(seed: int) -> Method:
        torch.manual_seed(seed)
        return TinyReconstructor(16)

    make = make or reconstructor
    data = make_splits(dataset or TinyDataset(image_size=16), evaluate_on="test", train_images=None, image_size=None)
    model = TrainedModel(make(seed), make, data, torch.device(device), precision, mask_ratio=0.75)
    features = extract_all(model.method.encoder, data, model.device, precision)
    return EvaluationData(features.train, features.test, data.classes, seed, model)


@pytest.fixture
def scenes() -> Callable[..., EvaluationData]:
    return make_scenes


@dataclass
class Changed(TinyDataset):
    """A ``TinyDataset`` of 16 px whose splits are changed by a function."""

    change: Callable[[Split], Split] = lambda split: split
    image_size: int = 16

    def split(self, name: Literal["train", "test"]) -> Split:
        return self.change(super().split(name))


@pytest.fixture
def changed() -> Callable[..., Changed]:
    """``changed(function)``: the data set whose splits it changes."""
    return lambda change, **sizes: Changed(change=change, **sizes)
