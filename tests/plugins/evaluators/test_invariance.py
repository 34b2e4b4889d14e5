from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score

from sslbench import EvaluationData, FeatureSet, Params
from sslbench_plugins.evaluators.invariance import Invariance


def scenes(count=400, noise=0.1, seed=0):
    """Features that hold the hue, half of the scale, the category, and not the angle."""
    generator = torch.Generator().manual_seed(seed)

    def part():
        hue, scale, angle, blur = torch.rand(4, count, generator=generator)
        category = torch.randint(0, 3, (count,), generator=generator)
        spread = scale + (blur - 0.5)
        columns = [hue, spread, *torch.nn.functional.one_hot(category, 3).float().T]
        features = torch.stack(columns, dim=1) @ torch.randn(5, 12, generator=torch.Generator().manual_seed(1))
        features = features + noise * torch.randn(count, 12, generator=generator)
        return FeatureSet(features, category, {"hue": hue, "scale": scale, "angle": angle, "sort": category})

    return EvaluationData(part(), part(), 3, 0)


def measure(data):
    return {metric.name: metric for metric in Invariance(Params()).evaluate(data)}


def test_factors_that_the_features_hold_are_readable_and_others_are_not():
    metrics = {name: metric.value for name, metric in measure(scenes()).items()}
    assert metrics["readable_hue"] > 0.8
    assert 0.3 < metrics["readable_scale"] < 0.6
    assert abs(metrics["readable_angle"]) < 0.1
    assert metrics["readable_sort"] > 0.95
    assert metrics["readable_class"] == metrics["readable_sort"]
    readable = [value for name, value in metrics.items() if name.startswith("readable_") and name != "readable_mean"]
    assert metrics["readable_mean"] == pytest.approx(sum(readable) / 5)


def test_a_continuous_factor_is_scored_as_by_scikit_learn():
    data = scenes(noise=1.0)
    mean, deviation = data.train.features.mean(dim=0), data.train.features.std(dim=0, correction=0)
    train, test = (((part.features - mean) / deviation).numpy() for part in (data.train, data.test))
    train_hue, test_hue = (part.factors["hue"].numpy() for part in (data.train, data.test))
    scores = [
        r2_score(test_hue, Ridge(alpha=400 * 10.0**power).fit(train, train_hue).predict(test)) for power in range(-5, 3)
    ]
    # The deviation is taken from the training images' mean, which is a little off the test images'.
    assert min(abs(measure(data)["readable_hue"].value - score) for score in scores) < 2e-3


def test_a_categorical_factor_is_scored_between_the_most_frequent_and_no_mistake():
    data = scenes(noise=1.0)
    metrics = measure(data)
    model = LogisticRegression(C=1e3, max_iter=2000).fit(data.train.features, data.train.labels)
    assert metrics["sort_top1"].value == pytest.approx(model.score(data.test.features, data.test.labels), abs=0.03)
    base = float((data.test.labels == data.train.labels.bincount().argmax()).double().mean())
    assert metrics["readable_sort"].value == pytest.approx((metrics["sort_top1"].value - base) / (1 - base))


def without(data, **factors):
    return replace(
        data,
        train=replace(data.train, factors={**data.train.factors, **factors}),
        test=replace(data.test, factors={**data.test.factors, **factors}),
    )


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("sort", torch.zeros(400, dtype=torch.int64), "factor 'sort' has too few categories"),
        ("hue", torch.full((400,), 0.5), "factor 'hue' is the same for all images"),
        ("hue", torch.full((400,), torch.nan), "factor 'hue' holds NaN or infinity"),
        ("sort", torch.arange(400) % 3 - 1, "factor 'sort' has a category -1; allowed: 0 and more"),
    ],
)
def test_a_factor_that_cannot_be_probed_is_none_and_so_is_the_mean(name, values, words):
    metrics = measure(without(scenes(), **{name: values}))
    assert metrics[f"readable_{name}"].value is None
    assert metrics[f"readable_{name}"].reason.startswith(words)
    assert metrics["readable_mean"].value is None
    assert metrics["readable_scale"].value is not None


def test_a_factor_that_the_test_split_lacks_is_none():
    data = scenes()
    known = {name: values for name, values in data.test.factors.items() if name != "hue"}
    metrics = measure(replace(data, test=replace(data.test, factors=known)))
    assert metrics["readable_hue"].reason == "the test split has no factor 'hue'"
    assert (metrics["readable_hue"].value, metrics["readable_mean"].value) == (None, None)
    assert metrics["readable_scale"].value is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda features: torch.full_like(features, torch.nan), "400 of 400 training feature vectors hold NaN"),
        (lambda features: torch.ones_like(features), "all training feature vectors are equal"),
    ],
)
def test_features_that_cannot_be_probed_give_no_number(change, words):
    data = scenes()
    data = replace(data, train=replace(data.train, features=change(data.train.features)))
    for metric in measure(data).values():
        assert metric.value is None
        assert metric.reason.startswith(words)


def test_without_factors_or_images_there_is_nothing_to_read():
    data = scenes()
    bare = replace(data, train=FeatureSet(data.train.features, data.train.labels))
    assert measure(bare)["readable_mean"].reason == "the data set names no factors"
    few = replace(data, train=FeatureSet(data.train.features[:9], None, {"hue": torch.arange(9) / 9}))
    assert measure(few)["readable_mean"].reason == "9 training images; at least 10 are needed"
