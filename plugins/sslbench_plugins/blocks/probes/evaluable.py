"""Whether features and labels can be judged at all, and if not, why: the reason that a metric carries."""

from __future__ import annotations

import torch
from torch import Tensor

from sslbench import EvaluationData, FeatureSet

LARGEST = 1e15
"""features beyond this have squares whose sums float32 cannot hold"""


def why_not_evaluable(data: EvaluationData) -> str:
    """Empty where a classifier can be fitted on ``data.train`` and scored on ``data.test``; else one line."""
    for name, part in (("training", data.train), ("test", data.test)):
        reason = _why_not(name, part, data.classes)
        if reason:
            return reason
    labels = data.train.labels
    if labels is not None and bool((labels == labels[0]).all()):
        return f"all training labels are of class {int(labels[0])}: there is nothing to tell apart"
    return ""


def why_not_comparable(data: EvaluationData) -> str:
    """Cosines need a direction for every image, and directions that differ: empty where there are, else one line."""
    for name, part in (("training", data.train), ("test", data.test)):
        reason = why_no_directions(name, part.features)
        if reason:
            return reason
    return why_all_equal("training", data.train.features)


def why_no_directions(name: str, features: Tensor) -> str:
    """One line where some of ``[N, D]`` are zero vectors."""
    zeros = int((features.norm(dim=1) == 0).sum())
    return f"{zeros} of {len(features)} {name} feature vectors are zero and have no direction" if zeros else ""


def why_all_equal(name: str, features: Tensor) -> str:
    """One line where all of ``[N, D]`` are one vector."""
    if bool((features == features[0]).all()):
        return f"all {name} feature vectors are equal: every image is as near as every other"
    return ""


def features_and_labels(part: FeatureSet) -> tuple[Tensor, Tensor]:
    """``[N, D]`` and ``[N]`` of a split that is evaluable, both on the features' device."""
    if part.labels is None:
        raise ValueError("the split has no labels")
    return part.features, part.labels.to(part.features.device)


def _why_not(name: str, part: FeatureSet, classes: int) -> str:
    if part.labels is None:
        return f"the {name} split has no labels"
    if len(part.features) == 0:
        return f"the {name} split is empty"
    lowest, highest = int(part.labels.min()), int(part.labels.max())
    if lowest < 0 or highest >= classes:
        return f"{name} labels run from {lowest} to {highest}; allowed: 0 to {classes - 1}"
    return why_not_finite(name, part.features)


def why_not_finite(name: str, features: Tensor) -> str:
    """One line where some of ``[N, D]``, N at least 1, are no numbers or too large to be squared."""
    # NaN comes through both ends.
    largest = torch.stack(torch.aminmax(features)).abs().amax()
    if bool(largest <= LARGEST):
        return ""
    if bool(torch.isfinite(largest)):
        return f"{name} features are as large as {float(largest):.1e}; float32 squares allow {LARGEST:.0e}"
    bad = int((~torch.isfinite(features)).any(dim=1).sum())
    return f"{bad} of {len(features)} {name} feature vectors hold NaN or infinity"
