"""Whether features and labels can be evaluated, and if not, why: the reason that a metric carries.

Every ``why_not_...`` returns one line, or an empty text where nothing stands in the way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sslbench import EvaluatedModel, EvaluationData, FeatureSet

LARGEST = 1e15
"""features beyond this have squares whose sums float32 cannot hold"""


def model_of(data: EvaluationData) -> EvaluatedModel:
    """The model that an evaluator with ``uses_model`` is given. Raises ValueError where there is none."""
    if data.model is None:
        raise ValueError("the evaluator was given no model")
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
        reason = _why_not_classified(name, split, data.classes)
        if reason:
            return reason
    labels = labels_of(data.train)
    if bool((labels == labels[0]).all()):
        return f"all training labels are of class {int(labels[0])}: there is nothing to tell apart"
    return ""


def why_not_comparable(data: EvaluationData) -> str:
    """Why cosines do not rank the images: they need a direction for every image, and directions that differ."""
    for name, split in (("training", data.train), ("test", data.test)):
        reason = why_no_directions(name, split.features)
        if reason:
            return reason
    return why_all_equal("training", data.train.features)


def why_no_directions(name: str, features: Tensor) -> str:
    """A reason where some of ``[N, D]`` are zero vectors; ``name`` is the split's."""
    zeros = int((torch.linalg.vector_norm(features, dim=1) == 0).sum())
    return f"{zeros} of {len(features)} {name} feature vectors are zero and have no direction" if zeros else ""


def why_all_equal(name: str, features: Tensor) -> str:
    """A reason where all of ``[N, D]`` are one vector; ``name`` is the split's."""
    if bool((features == features[0]).all()):
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
    """A reason where some of ``[..., D]`` cannot be squared and added up; ``name`` says what kind of vectors they
    are, such as ``test token``."""
    rows = vectors.flatten(0, -2)
    bad = int((~(rows.abs() <= LARGEST)).any(dim=1).sum())
    return f"{bad} of {len(rows)} {name} vectors hold NaN, infinity or more than {LARGEST:.0e}" if bad else ""


def _why_not_classified(name: str, split: FeatureSet, classes: int) -> str:
    if split.labels is None:
        return f"the {name} split has no labels"
    if len(split.features) == 0:
        return f"the {name} split is empty"
    lowest, highest = int(split.labels.min()), int(split.labels.max())
    if lowest < 0 or highest >= classes:
        return f"{name} labels run from {lowest} to {highest}; allowed: 0 to {classes - 1}"
    return why_not_finite(name, split.features)
