"""Balanced accuracy beside accuracy, where one class would hide what becomes of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from sslbench import EvaluationData, FeatureSet, Metric
from sslbench_plugins.blocks.probes.evaluable import balancing_weights
from sslbench_plugins.evaluators.few_label import FewLabel, FewLabelParams
from sslbench_plugins.evaluators.few_label_scratch import FewLabelScratch, FewLabelScratchParams
from sslbench_plugins.evaluators.fine_tune import FineTune, FineTuneParams
from sslbench_plugins.evaluators.knn import Knn, KnnParams
from sslbench_plugins.evaluators.linear_probe import LinearProbe, LinearProbeParams
from tests.plugins.evaluators.conftest import make_clusters, make_scenes


def skewed(data: EvaluationData, kept: int = 3) -> EvaluationData:
    """All test images of class 0, and ``kept`` of each other class."""
    assert data.test.labels is not None
    labels = data.test.labels
    rank = torch.stack([(labels[:i] == labels[i]).sum() for i in range(len(labels))])
    rows = ((labels == 0) | (rank < kept)).nonzero()[:, 0]
    return replace(data, test=FeatureSet(data.test.features[rows], labels[rows]))


def by_scikit_learn(correct: torch.Tensor, labels: torch.Tensor, classes: int) -> float:
    """A wrong answer is the next class: only the recall of each class counts."""
    predicted = torch.where(correct == 1, labels, (labels + 1) % classes)
    return float(balanced_accuracy_score(labels.numpy(), predicted.numpy()))


@pytest.mark.parametrize(
    ("evaluator", "name"),
    [
        (Knn(KnnParams()), "knn"),
        (LinearProbe(LinearProbeParams()), "linear"),
        (LinearProbe(LinearProbeParams(protocol="adam-100")), "linear"),
    ],
)
def test_it_is_that_of_scikit_learn(evaluator: Knn | LinearProbe, name: str) -> None:
    data = skewed(make_clusters(spread=2.5, per_class=40))
    top1, balanced = evaluator.evaluate(data)
    assert (top1.name, balanced.name) == (f"{name}_top1", f"{name}_balanced")
    assert top1.per_image is not None
    assert data.test.labels is not None
    assert balanced.value == pytest.approx(by_scikit_learn(top1.per_image, data.test.labels, 3))
    assert balanced.value != top1.value
    assert balanced.higher_is_better


def test_a_constant_answer_has_the_share_of_the_largest_class_and_one_class_of_all() -> None:
    labels = torch.tensor([0] * 29 + [1])
    weights = balancing_weights(labels)
    assert weights is not None
    assert float(((labels == 0) * weights).mean()) == pytest.approx(0.5)
    assert float(weights.mean()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("counts", "given"),
    [((75, 25), False), ((76, 24), True), ((50, 25, 25), False), ((52, 24, 24), True), ((9,), False)],
)
def test_it_is_given_beyond_one_and_a_half_times_an_equal_share(counts: tuple[int, ...], given: bool) -> None:
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    assert (balancing_weights(labels) is not None) is given


def test_classes_without_a_test_image_do_not_count() -> None:
    labels = torch.tensor([0] * 8 + [2] * 2)
    weights = balancing_weights(labels)
    assert weights is not None
    assert float(((labels == 2) * weights).mean()) == pytest.approx(0.5)


def test_few_labels_have_it_for_each_amount_over_the_same_draws() -> None:
    data = skewed(make_clusters(spread=2.5, per_class=40))
    metrics = {metric.name: metric for metric in FewLabel(FewLabelParams(labels=(2, 5), draws=4)).evaluate(data)}
    assert list(metrics) == ["few_label_top1@2", "few_label_balanced@2", "few_label_top1@5", "few_label_balanced@5"]
    first = metrics["few_label_balanced@2"]
    right, labels = metrics["few_label_top1@2"].per_image, data.test.labels
    assert right is not None
    assert labels is not None
    assert first.value == pytest.approx(float(torch.stack([right[labels == c].mean() for c in range(3)]).mean()))
    assert first.n == 4
    assert first.std is not None


def with_skewed_test_labels() -> EvaluationData:
    """Networks that are trained on images, of which nearly all test images have one label."""
    data = make_scenes()
    assert data.test.labels is not None
    labels = torch.zeros_like(data.test.labels)
    labels[-2:] = 1
    return replace(data, test=replace(data.test, labels=labels))


def test_networks_that_are_trained_have_it_too() -> None:
    data = with_skewed_test_labels()
    short = {"epochs": 1, "least_steps": 2, "augmentation": "none"}
    metrics: list[Metric] = FineTune(FineTuneParams(**short)).evaluate(data)
    names = [metric.name for metric in metrics]
    assert names[:2] == ["fine_tune_top1", "fine_tune_balanced"]
    assert names[-2:] == ["from_scratch_top1", "from_scratch_balanced"]
    scratch = FewLabelScratch(FewLabelScratchParams(labels=(2,), draws=2, **short)).evaluate(data)
    assert [metric.name for metric in scratch] == ["scratch_top1@2", "scratch_balanced@2", "features_gain@2"]
    for metric in (*metrics, *scratch):
        if "balanced" in metric.name:
            assert metric.value is not None
            assert 0 <= metric.value <= 1
