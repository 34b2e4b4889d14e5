"""What every evaluator that is given the model must leave as it was, and what it must not put a number on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from sslbench import BuildContext, EvaluationData, EvaluatorSpec, Metric
from sslbench.testing.fakes import TinyReconstructor, TinyTokenBackbone
from sslbench.train.checkpoint import weights_digest
from sslbench_plugins.blocks.probes.label_training import LabelTrainingParams
from sslbench_plugins.evaluators import (
    attention_segmentation,
    dense_regression,
    dense_segmentation,
    few_label_scratch,
    fine_tune,
    reconstruction,
)

DOCS = (Path(__file__).parents[3] / "docs/evaluators.md").read_text()
FAST = {"epochs": 1, "least_steps": 3, "batch_size": 16}
CASES = {
    "attention-segmentation": (attention_segmentation, {}),
    "dense-regression": (dense_regression, {"pixels": 600}),
    "dense-segmentation": (dense_segmentation, {"pixels": 600}),
    "few-label-scratch": (few_label_scratch, {**FAST, "draws": 2}),
    "fine-tune": (fine_tune, FAST),
    "fine-tune-frozen": (fine_tune, {**FAST, "frozen": True}),
    "reconstruction": (reconstruction, {}),
}
LABELLED = ["few-label-scratch", "fine-tune", "fine-tune-frozen"]


def spec_of(case: str) -> EvaluatorSpec:
    (spec,) = CASES[case][0].sslbench_evaluators()
    return spec


def evaluate(case: str, data: EvaluationData) -> list[Metric]:
    spec = spec_of(case)
    return list(spec.build(spec.params(**CASES[case][1]), BuildContext()).evaluate(data))


class Normed(TinyReconstructor):
    """With batch norm and dropout in the encoder, whose mode and statistics can be checked; its reconstruction depends
    on what the encoder returns."""

    def __init__(self) -> None:
        super().__init__(16)
        self.backbone = NormedTokens()

    def reconstruct(self, images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        filled = super().reconstruct(images, mask)
        tint = self.backbone(filled)[:, :3, None, None]
        return torch.where(filled == images, images, filled + 0.01 * tint)


class NormedTokens(TinyTokenBackbone):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(16), nn.Dropout(0.2)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return self.drop(self.norm(super().embed(images).mT).mT)


def normed(seed: int) -> Normed:
    torch.manual_seed(seed)
    return Normed()


@pytest.fixture(params=CASES)
def case(request) -> str:
    return request.param


def state(data: EvaluationData) -> tuple[str, list[bool], list[bool]]:
    """Weights and buffers, the mode of each module, which parameters have a gradient."""
    method = data.model.method
    return (
        weights_digest(method),
        [module.training for module in method.modules()],
        [parameter.requires_grad for parameter in method.parameters()],
    )


def values(metrics: list[Metric]) -> list[tuple[str, float | None, str]]:
    return [(metric.name, metric.value, metric.reason) for metric in metrics]


def test_the_spec_says_what_it_uses_and_is_summed_up_by_its_first_line(case, scenes):
    spec = spec_of(case)
    assert spec.uses_model
    assert spec.summary == CASES[case][0].__doc__.splitlines()[0]
    assert spec.citation
    assert all(field.description for field in spec.params.model_fields.values())
    params = spec.params(**CASES[case][1])
    assert spec.ranked_by(params) in {metric.name for metric in evaluate(case, scenes(None, normed))}


def test_it_is_documented_with_every_metric_and_parameter_of_its_own(case, scenes):
    spec = spec_of(case)
    section = DOCS.partition(f"## `{spec.name}`\n")[2].partition("\n## ")[0]
    for metric in evaluate(case, scenes(None, normed)):
        name, at, _ = metric.name.partition("@")
        assert f"`{name}{at}" in section, metric.name
    shown = set(re.findall(r"`(\w+)(?:=[^`]*)?`", section))
    own = {name for name, field in spec.params.model_fields.items() if name not in LabelTrainingParams.model_fields}
    assert own - {"l2", "train_images", "images"} <= shown


def test_frozen_means_frozen(case, scenes):
    """Weights, buffers of batch norm, modes, gradients and features are as they were."""
    data = scenes(None, normed)
    before, features = state(data), data.train.features.clone()
    metrics = evaluate(case, data)
    assert state(data) == before
    assert torch.equal(data.train.features, features)
    assert all(parameter.grad is None for parameter in data.model.method.parameters())
    assert any(metric.value is not None for metric in metrics)


def test_the_network_is_in_eval_mode_whenever_it_is_called(case, scenes):
    data = scenes(None, normed)
    modes = []
    # A copy to be trained on carries the hook of what it was copied from along.
    norm = data.model.method.backbone.norm
    norm.register_forward_hook(lambda module, args, out: modes.append(module.training) if module is norm else None)
    evaluate(case, data)
    assert not any(modes)
    assert modes or case in LABELLED


def test_the_same_seed_gives_the_same_whatever_the_global_generator_is_at(case, scenes):
    torch.manual_seed(1)
    first = values(evaluate(case, scenes(None, normed)))
    torch.manual_seed(2)
    assert values(evaluate(case, scenes(None, normed))) == first


def test_values_are_finite_and_what_is_not_measured_has_a_reason(case, scenes):
    for metric in evaluate(case, scenes(None, normed)):
        assert metric.value is None or abs(metric.value) < float("inf")
        assert (metric.value is None) == bool(metric.reason)
        assert metric.per_image is None or metric.per_image.shape == (32,)


def test_weights_that_are_no_numbers_give_no_number(case, scenes):
    def broken(seed):
        method = normed(seed)
        with torch.no_grad():
            method.backbone.project.weight[0, 0, 0, 0] = float("nan")
        return method

    for metric in evaluate(case, scenes(None, broken)):
        if "nearest" in metric.name or "bilinear" in metric.name or "given" in metric.name:
            continue
        assert metric.value is None, metric.name
        assert "NaN" in metric.reason


@pytest.mark.parametrize("case", LABELLED)
def test_labels_of_one_class_are_no_task(case, scenes, changed):
    same = changed(lambda split: replace(split, labels=torch.ones_like(split.labels)))
    reason = "all training labels are of class 1: there is nothing to tell apart"
    assert {(value, why) for _, value, why in values(evaluate(case, scenes(same, normed)))} == {(None, reason)}


@pytest.mark.parametrize("case", LABELLED)
def test_without_labels_nothing_is_trained(case, scenes):
    data = scenes(None, normed)
    bare = replace(data, train=replace(data.train, labels=None))
    reason = "the training split has no labels"
    assert {(value, why) for _, value, why in values(evaluate(case, bare))} == {(None, reason)}


@pytest.mark.parametrize("case", LABELLED)
def test_images_of_one_colour_are_at_chance(case, scenes, changed):
    blank = changed(lambda split: replace(split, images=torch.full_like(split.images, 90)))
    for metric in evaluate(case, scenes(blank, normed)):
        if "top1" in metric.name:
            assert metric.value == 0.5
        if "gain" in metric.name:
            assert metric.value == 0.0


def test_fewer_images_than_classes_are_too_few_or_measured(case, scenes, changed):
    """Three training images of two classes, where there might be ten."""
    data = replace(scenes(changed(lambda split: split, train_images=3, test_images=2), normed), classes=10)
    for metric in evaluate(case, data):
        assert (metric.value is None) == bool(metric.reason)
        if case == "few-label-scratch":
            assert metric.reason in ("class 2 has only 0 of 2 labels", "class 2 has only 0 of 13 labels")
        elif "top1" in metric.name:
            assert metric.value in (0.0, 0.5, 1.0)


@pytest.mark.parametrize("precision", ["bf16"])
def test_half_precision_changes_little(case, scenes, precision):
    whole, half = (
        {metric.name: metric.value for metric in evaluate(case, scenes(None, normed, precision=p))}
        for p in ("fp32", precision)
    )
    for name in whole:
        tolerance = 1.0 if "psnr" in name else 0.35 if "scratch" in name or "gain" in name else 0.1
        assert half[name] == pytest.approx(whole[name], abs=tolerance)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(case, scenes):
    here, there = (evaluate(case, scenes(None, normed, device=device)) for device in ("cpu", "cuda"))
    for cpu, cuda in zip(here, there, strict=True):
        # Views are drawn by the device's own generator, so a training sees others.
        tolerance = 0.35 if case in LABELLED else 0.02
        assert cuda.value == pytest.approx(cpu.value, abs=tolerance)
