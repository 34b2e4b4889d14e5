"""Values, and what stands in their place."""

from __future__ import annotations

import pytest
import torch

from sslbench_plugins.blocks.probes.evaluable import accuracy, mean_over_images, unmeasured

NAN = float("nan")


def test_unmeasured_metrics_carry_the_reason() -> None:
    metrics = unmeasured(["a", "b"], "no labels")
    assert [(metric.name, metric.value, metric.reason) for metric in metrics] == [
        ("a", None, "no labels"),
        ("b", None, "no labels"),
    ]


def test_accuracy_is_the_mean_of_its_images() -> None:
    correct = torch.tensor([1.0, 0.0, 1.0, 1.0])
    metric = accuracy("top1", correct)
    assert metric.value == 0.75
    assert torch.equal(metric.per_image, correct)


def test_images_without_a_value_are_left_out_of_the_mean() -> None:
    metric = mean_over_images("rmse", torch.tensor([1.0, NAN, 3.0]), "no depth", higher_is_better=False)
    assert (metric.value, metric.per_image, metric.higher_is_better, metric.reason) == (2.0, None, False, "")
    whole = mean_over_images("rmse", torch.tensor([1.0, 3.0]), "no depth")
    assert whole.per_image.tolist() == [1.0, 3.0]


@pytest.mark.parametrize("values", [torch.tensor([NAN, NAN]), torch.empty(0)])
def test_without_any_value_the_metric_carries_the_reason(values: torch.Tensor) -> None:
    metric = mean_over_images("rmse", values, "no depth")
    assert (metric.value, metric.reason) == (None, "no depth")
