"""What can be evaluated, the usual metrics of it, and the reason that a metric carries where it cannot be.

Every ``why_...`` returns one line, or an empty text where nothing stands in the way.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from sslbench import EvaluatedModel, EvaluationData, FeatureSet, Metric

LARGEST = 1e15
"""features beyond this have squares whose sums float32 cannot hold"""

SKEWED = 1.5
"""times an equal share of the test images that a class may have before accuracy says little of the others"""


class Unmeasurable(Exception):
    """Its words are the reason why nothing can be measured."""


def require(reason: str) -> None:
    """Raises Unmeasurable with the reason that a ``why_...`` returned, if any."""
    if reason:
        raise Unmeasurable(reason)


def unmeasured(names: Iterable[str], reason: str, unit: str = "") -> list[Metric]:
    """One metric without a value for each name; ``reason`` is one line."""
    return [Metric(name, None, unit, reason=reason) for name in names]


def accuracy(name: str, correct: Tensor) -> Metric:
    """The share of test images that are classified correctly, 0..1; ``correct`` float ``[N]``, 1 or 0 each."""
    return Metric(name, float(correct.double().mean()), per_image=correct)


def accuracies(name: str, correct: Tensor, labels: Tensor) -> list[Metric]:
    """``accuracy``, and where the test images are skewed towards a class the mean of the classes' own, under the name
    with ``balanced`` in the place of ``top1``; ``labels`` int64 ``[N]``."""
    weights = balancing_weights(labels)
    if weights is None:
        return [accuracy(name, correct)]
    balanced = correct.double() * weights.to(correct.device)
    return [accuracy(name, correct), Metric(balanced_name(name), float(balanced.mean()), per_image=balanced.float())]


def balancing_weights(labels: Tensor) -> Tensor | None:
    """float64 ``[N]``: times right or wrong (1 or 0), their mean is the mean recall of the classes that are there. None
    where no class is skewed: none has more than ``SKEWED`` times an equal share."""
    counts = labels.bincount()
    classes = int((counts > 0).sum())
    if int(counts.max()) * classes <= SKEWED * len(labels):
        return None
    return len(labels) / (classes * counts[labels].double())


def balanced_name(name: str) -> str:
    """``knn_balanced`` for ``knn_top1``."""
    return name.replace("top1", "balanced")


def mean_over_images(name: str, values: Tensor, reason: str, *, higher_is_better: bool = True) -> Metric:
    """The mean over the images that have a value, ``[N]``, NaN for others; ``reason`` is why none has one."""
    measured = values[values.isfinite()]
    if not len(measured):
        return Metric(name, None, higher_is_better=higher_is_better, reason=reason)
    per_image = values.cpu() if len(measured) == len(values) else None
    return Metric(name, float(measured.mean()), higher_is_better=higher_is_better, per_image=per_image)


def model_of(data: EvaluationData) -> EvaluatedModel:
    """The model that an evaluator with ``uses_model`` is given. Raises Unmeasurable where there is none."""
    if data.model is None:
        raise Unmeasurable("the evaluator was given no model")
    return data.model


def labels_of(split: FeatureSet) -> Tensor:
    """int64 ``[N]``, on any device. Raises ValueError for a split without labels."""
    if split.labels is None:
        raise ValueError("the split has no labels")
    return split.labels


def features_and_labels(split: FeatureSet) -> tuple[Tensor, Tensor]:
    """float32 ``[N, D]`` and int64 ``[N]``, both on the features' device. Raises ValueError as ``labels_of``."""
    return split.features, labels_of(split).to(split.features.device)


def why_not_evaluable(data: EvaluationData) -> str:
    """Why no classifier can be fitted on ``data.train`` and scored on ``data.test``."""
    for name, split in (("training", data.train), ("test", data.test)):
        if split.labels is None:
            return f"the {name} split has no labels"
        if len(split.features) == 0:
            return f"the {name} split is empty"
        lowest, highest = int(split.labels.min()), int(split.labels.max())
        if lowest < 0 or highest >= data.classes:
            return f"{name} labels run from {lowest} to {highest}; allowed: 0 to {data.classes - 1}"
        if reason := why_not_finite(name, split.features):
            return reason
    labels = labels_of(data.train)
    if bool((labels == labels[0]).all()):
        return f"all training labels are of class {int(labels[0])}: there is nothing to tell apart"
    return ""


def why_not_comparable(data: EvaluationData) -> str:
    """Why cosines do not rank the images of a task: they need a direction for every image, and some that differ."""
    if reason := why_not_evaluable(data):
        return reason
    for name, features in (("training", data.train.features), ("test", data.test.features)):
        zeros = int((torch.linalg.vector_norm(features, dim=1) == 0).sum())
        if zeros:
            return f"{zeros} of {len(features)} {name} feature vectors are zero and have no direction"
    return why_all_equal("training", data.train.features)


def why_all_equal(name: str, features: Tensor) -> str:
    """A reason where all of ``[N, D]`` are one vector; ``name`` is the split's."""
    # Nearly always the last one differs, and the others need not be looked at.
    if bool((features[-1] == features[0]).all()) and bool((features == features[0]).all()):
        return f"all {name} feature vectors are equal: every image is as near as every other"
    return ""


def why_not_finite(name: str, features: Tensor) -> str:
    """A reason where some of ``[N, D]``, N at least 1, are no numbers or too large to be squared."""
    # NaN comes through both ends.
    largest = torch.stack(torch.aminmax(features)).abs().amax()
    if bool(largest <= LARGEST):
        return ""
    if bool(torch.isfinite(largest)):
        return f"{name} features are as large as {float(largest):.1e}; float32 squares allow {LARGEST:.0e}"
    bad = int((~torch.isfinite(features)).any(dim=1).sum())
    return f"{bad} of {len(features)} {name} feature vectors hold NaN or infinity"


def why_not_squarable(vectors: Tensor, name: str) -> str:
    """A reason where some of ``[..., D]`` cannot be squared and added up; ``name`` is what they are, ``test token``."""
    rows = vectors.flatten(0, -2)
    bad = int((~(rows.abs() <= LARGEST)).any(dim=1).sum())
    return f"{bad} of {len(rows)} {name} vectors hold NaN, infinity or more than {LARGEST:.0e}" if bad else ""
