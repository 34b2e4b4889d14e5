"""What every evaluator must do with features that cannot be evaluated, and with those that can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from sslbench import BuildContext, EvaluationData, EvaluatorSpec, FeatureSet, Metric, Params
from sslbench_plugins.evaluators import few_label, fine_tune, knn, linear_probe, retrieval
from sslbench_plugins.evaluators.attention_segmentation import AttentionSegmentationParams

CASES = {
    "knn": (knn, {}),
    "knn-k200": (knn, {"k": 200, "temperature": 0.1}),
    "knn-bf16": (knn, {"precision": "bf16"}),
    "linear-probe-exact": (linear_probe, {}),
    "linear-probe-adam-100": (linear_probe, {"protocol": "adam-100"}),
    "few-label": (few_label, {"labels": (1, 5), "draws": 3}),
    "few-label-shares": (few_label, {"labels": (), "shares": (0.1, 0.5, 1.0), "draws": 3}),
    "retrieval": (retrieval, {}),
    "retrieval-among-test": (retrieval, {"among": "test"}),
}
Clusters = Callable[..., EvaluationData]
Evaluate = Callable[[EvaluationData], list[Metric]]


def make_evaluate(case: str) -> Evaluate:
    module, params = CASES[case]
    (spec,) = module.sslbench_evaluators()
    return lambda data: list(spec.build(spec.params(**params), BuildContext()).evaluate(data))


@pytest.fixture(params=CASES)
def evaluate(request: pytest.FixtureRequest) -> Evaluate:
    return make_evaluate(request.param)


@pytest.fixture(params=[case for case in CASES if case != "linear-probe-adam-100"])
def fit_fully(request: pytest.FixtureRequest) -> Evaluate:
    """Without the recipe whose 100 epochs are a hundred small steps on sets as small as these."""
    return make_evaluate(request.param)


def with_features(data: EvaluationData, train: Tensor, test: Tensor) -> EvaluationData:
    return replace(data, train=FeatureSet(train, data.train.labels), test=FeatureSet(test, data.test.labels))


def assert_unmeasured(metrics: list[Metric], reason: str) -> None:
    assert metrics
    for metric in metrics:
        assert (metric.value, metric.std, metric.n, metric.reason) == (None, None, None, reason)


@pytest.mark.parametrize("module", [few_label, knn, linear_probe, retrieval])
def test_the_headline_is_a_metric_and_the_summary_the_first_line(module: object, clusters: Clusters) -> None:
    (spec,) = module.sslbench_evaluators()
    assert isinstance(spec, EvaluatorSpec)
    assert spec.summary == module.__doc__.splitlines()[0]
    assert spec.needs == {"labels"}
    assert spec.citation
    assert spec.ranked_by(spec.params()) in {
        metric.name for metric in spec.build(spec.params(), BuildContext()).evaluate(clusters())
    }
    assert all(field.description for field in spec.params.model_fields.values())


def test_clear_clusters_are_told_apart(fit_fully: Evaluate, clusters: Clusters) -> None:
    for metric in fit_fully(clusters(spread=0.05)):
        assert metric.value == 1.0
        assert metric.unit == ""
        assert metric.higher_is_better


def test_noise_is_at_chance(evaluate: Evaluate, clusters: Clusters) -> None:
    data = clusters(per_class=100, spread=1e4)
    for metric in evaluate(data):
        assert metric.value == pytest.approx(1 / 3, abs=0.12)


def test_the_same_seed_gives_the_same_metrics_and_features_stay_as_they_were(
    evaluate: Evaluate, clusters: Clusters
) -> None:
    data, untouched = clusters(spread=3.0), clusters(spread=3.0)
    assert evaluate(data) == evaluate(data)
    assert torch.equal(data.train.features, untouched.train.features)
    assert torch.equal(data.test.features, untouched.test.features)
    assert torch.equal(data.train.labels, untouched.train.labels)


def test_renaming_the_classes_does_not_move_the_accuracy(fit_fully: Evaluate, clusters: Clusters) -> None:
    """Within a point or so: draws and initial weights follow the numbers of the classes."""
    data, names = clusters(spread=0.5), torch.tensor([2, 0, 1])
    renamed = replace(
        data,
        train=FeatureSet(data.train.features, names[data.train.labels]),
        test=FeatureSet(data.test.features, names[data.test.labels]),
    )
    for before, after in zip(fit_fully(data), fit_fully(renamed), strict=True):
        assert after.value == pytest.approx(before.value, abs=0.03)


def test_features_made_in_inference_mode_are_accepted(evaluate: Evaluate, clusters: Clusters) -> None:
    data = clusters()
    with torch.inference_mode():
        extracted = with_features(data, data.train.features * 1, data.test.features * 1)
    assert evaluate(extracted) == evaluate(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("split", ["training", "test"])
def test_features_that_are_no_numbers(evaluate: Evaluate, clusters: Clusters, split: str, value: float) -> None:
    data = clusters(per_class=10)
    part = data.train if split == "training" else data.test
    part.features[4, 2] = value
    part.features[7] = value
    assert_unmeasured(evaluate(data), f"2 of 30 {split} feature vectors hold NaN or infinity")


def test_features_too_large_to_square(evaluate: Evaluate, clusters: Clusters) -> None:
    data = clusters(per_class=10)
    data.train.features[0, 0] = 1e20
    assert_unmeasured(evaluate(data), "training features are as large as 1.0e+20; float32 squares allow 1e+15")


@pytest.mark.parametrize("scale", [1e-6, 1e12])
def test_features_of_any_ordinary_size(evaluate: Evaluate, clusters: Clusters, scale: float) -> None:
    data = clusters(spread=0.05)
    metrics = evaluate(with_features(data, data.train.features * scale, data.test.features * scale))
    assert all(metric.value is not None and 0 <= metric.value <= 1 for metric in metrics)


def test_an_empty_split(evaluate: Evaluate, clusters: Clusters) -> None:
    data = clusters()
    nothing = FeatureSet(torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64))
    assert_unmeasured(evaluate(replace(data, train=nothing)), "the training split is empty")
    assert_unmeasured(evaluate(replace(data, test=nothing)), "the test split is empty")


def test_a_split_without_labels(evaluate: Evaluate, clusters: Clusters) -> None:
    data = clusters()
    unlabelled = replace(data, test=FeatureSet(data.test.features))
    assert_unmeasured(evaluate(unlabelled), "the test split has no labels")


def test_labels_outside_the_classes(evaluate: Evaluate, clusters: Clusters) -> None:
    data = clusters()
    assert_unmeasured(evaluate(replace(data, classes=2)), "training labels run from 0 to 2; allowed: 0 to 1")
    data.test.labels[0] = -1
    assert_unmeasured(evaluate(data), "test labels run from -1 to 2; allowed: 0 to 2")


def test_a_single_class(evaluate: Evaluate, clusters: Clusters) -> None:
    data = clusters()
    one = FeatureSet(data.train.features, torch.ones_like(data.train.labels))
    assert_unmeasured(
        evaluate(replace(data, train=one)), "all training labels are of class 1: there is nothing to tell apart"
    )


def test_constant_columns_and_a_single_varying_one(fit_fully: Evaluate, clusters: Clusters) -> None:
    data = clusters(classes=2, width=1, spread=0.1, seed=3)
    constant = torch.full((len(data.train.labels), 2), 0.1)
    metrics = fit_fully(
        with_features(data, torch.cat([data.train.features, constant], 1), torch.cat([data.test.features, constant], 1))
    )
    assert all(metric.value is not None and metric.value > 0.7 for metric in metrics)


def test_one_column(fit_fully: Evaluate, clusters: Clusters) -> None:
    data = clusters(classes=2, width=1, spread=0.01)
    centres = (
        torch.where(data.train.labels == 0, -1.0, 1.0)[:, None],
        torch.where(data.test.labels == 0, -1.0, 1.0)[:, None],
    )
    noise = 0.01 * data.train.features, 0.01 * data.test.features
    assert all(m.value == 1.0 for m in fit_fully(with_features(data, centres[0] + noise[0], centres[1] + noise[1])))


def assert_sound(metrics: list[Metric]) -> None:
    """A value, or a reason and nothing else."""
    assert metrics
    for metric in metrics:
        if metric.value is None:
            assert metric.reason
            assert (metric.std, metric.n, metric.per_image) == (None, None, None)
        else:
            assert 0 <= metric.value <= 1
            assert not metric.reason
            assert metric.std is None or 0 <= metric.std <= 0.5


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0])
def test_constant_features_are_at_chance_or_not_measured(evaluate: Evaluate, clusters: Clusters, value: float) -> None:
    data = clusters()
    same = torch.full_like(data.train.features, value)
    metrics = evaluate(with_features(data, same, same))
    assert_sound(metrics)
    for metric in metrics:
        assert metric.value is None or metric.value == pytest.approx(1 / 3)


@pytest.mark.parametrize("images", [1, 2])
def test_fewer_images_than_k_and_than_classes(evaluate: Evaluate, clusters: Clusters, images: int) -> None:
    """One or two training images each of three classes of forty."""
    metrics = evaluate(replace(clusters(per_class=images, spread=0.05), classes=40))
    assert_sound(metrics)


def test_a_class_that_only_the_test_split_has_is_never_right(fit_fully: Evaluate, clusters: Clusters) -> None:
    data = clusters(spread=0.05)
    known = data.train.labels != 2
    metrics = fit_fully(replace(data, train=FeatureSet(data.train.features[known], data.train.labels[known])))
    assert_sound(metrics)
    for metric in metrics:
        if "retrieval" not in metric.name:
            assert metric.value is None or metric.value <= 2 / 3 + 1e-6


def test_the_value_is_the_mean_over_test_images(evaluate: Evaluate, clusters: Clusters) -> None:
    data = clusters(spread=3.0)
    for metric in evaluate(data):
        assert metric.per_image.shape == data.test.labels.shape
        assert metric.per_image.dtype == torch.float32
        assert metric.value == pytest.approx(float(metric.per_image.double().mean()), abs=1e-6)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(evaluate: Evaluate, clusters: Clusters) -> None:
    data = clusters(per_class=200, spread=2.0)
    there = with_features(data, data.train.features.cuda(), data.test.features.cuda())
    for here, other in zip(evaluate(data), evaluate(there), strict=True):
        assert other.value == pytest.approx(here.value, abs=0.01)
    assert evaluate(there) == evaluate(there)


@pytest.mark.parametrize(
    ("params", "given", "message"),
    [
        (knn.KnnParams, {"precision": "fp16"}, "'fp32' or 'bf16'"),
        (linear_probe.LinearProbeParams, {"protocol": "adam"}, "'exact' or 'adam-100'"),
        (retrieval.RetrievalParams, {"among": "validation"}, "'train' or 'test'"),
        (retrieval.RetrievalParams, {"precision": "fp16"}, "'fp32' or 'bf16'"),
        (fine_tune.FineTuneParams, {"head": "zero"}, "'fitted' or 'random'"),
        (fine_tune.FineTuneParams, {"batch_norm": "frozen"}, "'kept' or 'follows'"),
        (AttentionSegmentationParams, {"objects": "any"}, "'each', 'all' or 'main'"),
    ],
)
def test_an_unknown_choice_is_refused_with_those_there_are(params: type[Params], given: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        params(**given)
