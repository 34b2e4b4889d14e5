"""What evaluators are tried on, and what they yield of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from sslbench.contracts.evaluator import EvaluationData, FeatureSet, Metric, Picture
from sslbench.testing.conformance.check import Trial
from sslbench.testing.fakes import ShownNoise, blobs, evaluated_scenes
from sslbench.train.randomness import seed_everything

CLASSES = 3


@dataclass(frozen=True)
class Yielded:
    """What an evaluator yielded, in order."""

    items: Sequence[Any]

    @property
    def metrics(self) -> dict[str, Metric]:
        """By name."""
        return {item.name: item for item in self.items if isinstance(item, Metric)}

    @property
    def values(self) -> dict[str, Any]:
        """Metrics that have one, as numbers."""
        return {name: None if m.value is None else float(m.value) for name, m in self.metrics.items()}

    @property
    def pictures(self) -> list[Picture]:
        """Without the metrics."""
        return [item for item in self.items if isinstance(item, Picture)]

    @property
    def right_or_wrong(self) -> dict[str, torch.Tensor]:
        """Name -> ``[N]`` of the metrics that are 1 or 0 for each image."""
        per_image = {name: m.per_image for name, m in self.metrics.items() if isinstance(m.per_image, torch.Tensor)}
        return {name: v.float() for name, v in per_image.items() if bool(((v == 0) | (v == 1)).all())}


def evaluate(trial: Trial, data: EvaluationData) -> Yielded:
    """What an evaluator that is built anew yields of copies, seeded as in a run."""
    return evaluate_lent(trial, lent(data))


def evaluate_lent(trial: Trial, data: EvaluationData) -> Yielded:
    """The same of the data itself."""
    built = trial.build(classes=data.classes, seed=data.seed)
    seed_everything(data.seed, "evaluate")
    return Yielded(list(built.evaluate(data)))


def lent(data: EvaluationData) -> EvaluationData:
    """With copies of the features, as a run lends them."""
    return replace(data, train=copied(data.train), test=copied(data.test))


def copied(features: FeatureSet) -> FeatureSet:
    """In memory of its own."""
    labels = None if features.labels is None else features.labels.clone()
    return FeatureSet(features.features.clone(), labels, {key: v.clone() for key, v in features.factors.items()})


def part(features: FeatureSet, rows: Any) -> FeatureSet:
    """Some rows."""
    labels = None if features.labels is None else features.labels[rows]
    return FeatureSet(features.features[rows], labels, {key: v[rows] for key, v in features.factors.items()})


def features_of(trial: Trial, noise: float = 0.3) -> EvaluationData:
    """Features that are easy to tell apart, or hard with more noise: 120 to fit on, 90 to report on, mixed."""
    data = blobs(CLASSES, 40, noise=noise)
    mixed = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    train, test = part(data.train, mixed), part(data.test, mixed.flip(0)[:90])
    if "factors" in trial.spec.needs:
        train, test = with_factors(train), with_factors(test)
    return replace(data, train=train, test=test, shown=ShownNoise())


def with_factors(features: FeatureSet) -> FeatureSet:
    """With a kind of thing and a quantity."""
    assert features.labels is not None
    return replace(features, factors={"kind": features.labels.clone(), "light": features.features[:, 0].clone()})


def data_of(trial: Trial) -> EvaluationData:
    """What the evaluator is tried on: with a model where it uses one."""
    return evaluated_scenes() if trial.spec.uses_model else features_of(trial)


def hard_data(trial: Trial) -> EvaluationData:
    """The same, but features that are hard to tell apart."""
    return evaluated_scenes() if trial.spec.uses_model else features_of(trial, noise=1.0)


def first_result(trial: Trial) -> Yielded:
    """Of the data that it is tried on."""
    return evaluate(trial, trial.once(data_of))
