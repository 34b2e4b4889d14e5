from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sslbench import FeatureSet, UserError
from sslbench.hooks.params import resolve
from sslbench.testing.fakes import TinyReconstructor, evaluated_scenes
from sslbench_plugins.evaluators.label_free import LabelFree, LabelFreeParams, random_subset
from sslbench_plugins.evaluators.label_free.measures import alignment, rankme

QUICK = LabelFreeParams(view_images=20, views=3, augmentation="crop-only")


def measure(data, params=QUICK):
    return {metric.name: metric for metric in LabelFree(params).evaluate(data)}


def test_every_metric_is_there_with_its_direction():
    metrics = measure(evaluated_scenes())
    assert all(metric.value is not None for metric in metrics.values())
    assert {name: metric.higher_is_better for name, metric in metrics.items()} == {
        "rankme": True,
        "effective_rank": True,
        "alpha_req": None,
        "alpha_req_off_1": False,
        "uniformity": False,
        "alignment": False,
        "lidar": True,
    }
    assert metrics["alpha_req_off_1"].value == pytest.approx(abs(metrics["alpha_req"].value - 1))


def test_no_label_and_no_test_image_is_used():
    data = evaluated_scenes()
    blind = replace(
        data, train=FeatureSet(data.train.features), test=FeatureSet(torch.full((1, 1), torch.nan)), classes=0
    )
    assert measure(blind)["rankme"] == measure(data)["rankme"]


def test_only_so_many_images_are_measured():
    data = evaluated_scenes()
    metrics = measure(data, LabelFreeParams(images=30, views=0))
    assert "lidar" not in metrics
    assert metrics["rankme"].value == rankme(data.train.features[random_subset(64, 30)])


def test_views_go_through_the_frozen_encoder():
    class Bright(torch.nn.Module):
        def forward(self, images):
            return torch.stack([images.mean(dim=(1, 2, 3)), torch.ones(len(images))], dim=1)

    method = TinyReconstructor()
    method.backbone = Bright()
    data = evaluated_scenes(method)
    metrics = measure(data, LabelFreeParams(view_images=20, views=2, augmentation="none"))
    # Without augmentation both views of an image are one.
    assert metrics["alignment"].value == pytest.approx(0, abs=1e-9)
    assert metrics["rankme"].value < 2
    assert alignment(data.train.features[:20].reshape(10, 2, 2)) > 1e-4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.index_fill(0, torch.tensor([3]), torch.nan), "1 of 64 feature vectors hold NaN, infinity or more"),
        (lambda f: f[:2], "2 training images; at least 3 are needed"),
    ],
)
def test_what_cannot_be_measured_is_none_with_a_reason(change, words):
    data = evaluated_scenes()
    for metric in measure(replace(data, train=FeatureSet(change(data.train.features)))).values():
        assert metric.value is None
        assert metric.reason.startswith(words)


def test_equal_features_have_the_metrics_that_are_defined():
    data = evaluated_scenes()
    metrics = measure(replace(data, train=FeatureSet(torch.ones(64, 8))), LabelFreeParams(views=0))
    assert metrics["rankme"].value == pytest.approx(1, rel=1e-4)
    assert metrics["uniformity"].value == pytest.approx(0, abs=1e-9)
    assert (metrics["effective_rank"].value, metrics["effective_rank"].reason) == (None, "all singular values are zero")
    assert metrics["alpha_req"].value is None


def test_wrong_parameters_are_refused():
    _, mistakes = resolve("evaluator 'label-free'", LabelFreeParams, {"views": 1}, {})
    assert "one view has no other to be compared with; allowed: 0, or 2 and more" in mistakes[0]
    with pytest.raises(UserError, match="evaluator 'label-free': unknown augmentation 'simclrr'"):
        LabelFree(LabelFreeParams(augmentation="simclrr"))
