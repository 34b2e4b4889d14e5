"""Targets by their definition, scores by scikit-learn, choices on training images alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, jaccard_score
from torch.nn import functional

from sslbench import FeatureSet
from sslbench_plugins.blocks.probes.frozen_tokens import TokenHead, patch_tokens, sample_pixels
from sslbench_plugins.blocks.probes.linear_maps import Standardiser
from sslbench_plugins.blocks.probes.logistic import StoppingRule
from sslbench_plugins.evaluators import dense_segmentation
from sslbench_plugins.evaluators.dense_segmentation import (
    DenseSegmentation,
    DenseSegmentationParams,
    fit_with_best_miou,
    pixel_classes,
)

MAPS = torch.tensor([[[0, 1], [2, 255]], [[0, 1], [1, 3]]], dtype=torch.uint8)


def evaluate(data, **given):
    return {metric.name: metric for metric in DenseSegmentation(DenseSegmentationParams(**given)).evaluate(data)}


def thirds(split):
    """Maps of three classes: the ground, the bright half's left and its right side."""
    masks = split.maps["mask"].clone()
    masks[:, :, 8:] *= 2
    return replace(split, maps={"mask": masks})


def test_targets_by_value_by_object_and_by_label():
    labels = torch.tensor([4, 0])
    assert pixel_classes(MAPS, "values", None).tolist() == [[[0, 1], [2, -1]], [[0, 1], [1, 3]]]
    assert pixel_classes(MAPS, "objects", None).tolist() == [[[0, 1], [1, -1]], [[0, 1], [1, 1]]]
    assert pixel_classes(MAPS, "label", labels).tolist() == [[[0, 5], [-1, -1]], [[0, 1], [1, -1]]]
    unknown = torch.tensor([4, -1])
    assert pixel_classes(MAPS, "label", unknown).tolist()[1] == [[0, -1], [-1, -1]], "an image of no known class"


@pytest.mark.parametrize("target", ["values", "objects", "label"])
def test_scores_are_those_of_scikit_learns_fit_and_measure(scenes, changed, target):
    """The same sampled pixels, fitted by scikit-learn at the l2 that was chosen, its logits interpolated by torch."""
    data = scenes(changed(thirds))
    model, labels = data.model, {"train": data.train.labels, "test": data.test.labels}

    def true(split, indices):
        return pixel_classes(model.maps(split, "mask", indices), target, labels[split][indices])

    pixels = sample_pixels(model, lambda i: true("train", i), lambda t: t >= 0, torch.arange(64), 2000, data.seed)
    standardise = Standardiser.fitted(pixels.features)
    classes, compact = pixels.values.unique(return_inverse=True)
    l2, _ = fit_with_best_miou(standardise(pixels.features), compact, pixels.held_out)
    theirs = LogisticRegression(C=1 / (len(pixels.values) * l2), tol=1e-8, max_iter=5000)
    theirs.fit(standardise(pixels.features).double().numpy(), compact.numpy())
    weight, bias = (torch.from_numpy(part) for part in (theirs.coef_, theirs.intercept_))
    if len(classes) == 2:
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    tokens = patch_tokens(model, "test", torch.arange(32))
    head = TokenHead(*standardise.undone(weight.float(), bias.float()))
    logits = torch.einsum("bdrc,kd->bkrc", tokens, head.weight) + head.bias[:, None, None]
    predictions = functional.interpolate(logits, (16, 16), mode="bilinear", align_corners=False).argmax(dim=1)
    y, p = true("test", torch.arange(32)), classes[predictions]
    y, p = y[y >= 0], p[y >= 0]
    metrics = evaluate(data, target=target, pixels=2000)
    expected = jaccard_score(y, p, labels=y.unique().tolist(), average="macro")
    assert metrics["segmentation_miou"].value == pytest.approx(expected, abs=0.004)
    assert metrics["segmentation_accuracy"].value == pytest.approx(accuracy_score(y, p), abs=0.002)
    assert 0.4 < expected < 0.999


def test_unknown_pixels_are_neither_learnt_nor_scored(scenes, changed):
    def unknown(split):
        masks = split.maps["mask"].clone()
        masks[:, :, :5] = 255
        return replace(split, maps={"mask": masks})

    def wrong(split):
        masks = split.maps["mask"].clone()
        masks[:, :, :5] = 7
        return replace(split, maps={"mask": masks})

    whole, part, bad = (evaluate(scenes(changed(f)))["segmentation_miou"].value for f in (lambda s: s, unknown, wrong))
    assert part == pytest.approx(whole, abs=0.02)
    assert bad < 0.9 * whole


def test_the_test_maps_do_not_reach_the_fit(scenes, changed, monkeypatch):
    fits = []
    fit = dense_segmentation.fit_logistic

    def spy(*args, **options):
        fits.append(fit(*args, **options))
        return fits[-1]

    monkeypatch.setattr(dense_segmentation, "fit_logistic", spy)
    evaluate(scenes())
    count = len(fits)
    test_only = changed(
        lambda split: replace(split, maps={"mask": 1 - split.maps["mask"]}) if len(split) == 32 else split
    )
    flipped = evaluate(scenes(test_only))
    assert flipped["segmentation_accuracy"].value < 0.1
    assert len(fits) == 2 * count
    assert torch.equal(fits[count - 1].weight, fits[-1].weight)


def test_the_l2_is_chosen_on_held_out_images(monkeypatch):
    """Noise that only training images share: the strongest regularisation is the best on others."""
    generator = torch.Generator().manual_seed(0)
    held_out = torch.arange(400) >= 300
    labels = torch.randint(0, 2, (400,), generator=generator)
    features = torch.randn(400, 80, generator=generator)
    features[:, 0] += 1.5 * labels
    l2, fit = fit_with_best_miou(features, labels, held_out)
    assert l2 == dense_segmentation.L2_VALUES[0]
    assert fit.converged
    sharp = torch.nn.functional.one_hot(labels, 2).float() * 8 + 0.1 * torch.randn(400, 2, generator=generator)
    assert fit_with_best_miou(sharp - sharp.mean(0), labels, held_out)[0] == dense_segmentation.L2_VALUES[0]
    crossed = torch.stack([features[:, 1] * 0.03 + labels * 0.01, features[:, 1] * 0.03], dim=1)
    assert fit_with_best_miou(crossed, labels, held_out)[0] < dense_segmentation.L2_VALUES[0]


def test_a_class_that_training_maps_do_not_have_counts_as_missed(scenes, changed):
    new = changed(lambda split: replace(split, maps={"mask": split.maps["mask"] * 2}) if len(split) == 32 else split)
    metrics, usual = evaluate(scenes(new)), evaluate(scenes())
    ground = 2 * metrics["segmentation_miou"].value
    assert metrics["segmentation_miou"].value < 0.51
    assert ground == pytest.approx(usual["segmentation_miou"].value, abs=0.02)


def test_a_label_that_training_images_do_not_have_counts_as_missed(scenes, changed):
    """Also where it is the highest one."""
    data = scenes(changed(lambda split: split if len(split) == 64 else relabelled(split)))
    metrics = evaluate(replace(data, classes=3), target="label")
    usual = evaluate(scenes(), target="label")
    assert 0 < metrics["segmentation_miou"].value < usual["segmentation_miou"].value


def relabelled(split):
    """Class 1 is class 2."""
    return replace(split, labels=split.labels * 2)


def test_constant_tokens_predict_the_most_frequent_class(scenes, changed):
    quarter = torch.zeros(16, 16, dtype=torch.uint8)
    quarter[:8, :8] = 1

    def blank(split):
        return replace(
            split, images=torch.full_like(split.images, 90), maps={"mask": quarter.expand(len(split), -1, -1)}
        )

    metrics = evaluate(scenes(changed(blank)))
    assert metrics["segmentation_accuracy"].value == pytest.approx(0.75)
    assert metrics["segmentation_miou"].value == pytest.approx(0.375)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0, "all training pixels are of class 0: there is nothing to tell apart"),
        (3, "all training pixels are of class 3: there is nothing to tell apart"),
        (255, "no pixel of the training maps is scored"),
    ],
)
def test_maps_of_one_value_are_no_task(scenes, changed, value, reason):
    same = changed(lambda split: replace(split, maps={"mask": torch.full_like(split.maps["mask"], value)}))
    assert {(m.value, m.reason) for m in evaluate(scenes(same)).values()} == {(None, reason)}


def test_test_maps_without_a_scored_pixel_have_no_score(scenes, changed):
    def lost(split):
        return replace(split, maps={"mask": split.maps["mask"] | 255}) if len(split) == 32 else split

    reason = "no pixel of the test maps is scored"
    assert {(m.value, m.reason) for m in evaluate(scenes(changed(lost))).values()} == {(None, reason)}


def test_scored_pixels_in_a_single_image_leave_none_to_choose_by(scenes, changed):
    def one(split):
        masks = torch.full_like(split.maps["mask"], 255)
        masks[5] = split.maps["mask"][5]
        return replace(split, maps={"mask": masks})

    reason = "too few training images have scored pixels to hold some out and choose the regularisation"
    assert {(m.value, m.reason) for m in evaluate(scenes(changed(one))).values()} == {(None, reason)}


def test_labels_are_needed_for_the_target_label_only(scenes):
    data = scenes()
    bare = replace(data, train=FeatureSet(data.train.features), test=FeatureSet(data.test.features), classes=0)
    reason = "target=label needs the images' labels, and there are none"
    assert {(m.value, m.reason) for m in evaluate(bare, target="label").values()} == {(None, reason)}
    assert evaluate(bare) == evaluate(data)


def test_fits_without_an_optimum_have_no_value(scenes, monkeypatch):
    fit = dense_segmentation.fit_logistic
    one_step = {"stop": StoppingRule(max_steps=1)}
    monkeypatch.setattr(
        dense_segmentation, "fit_logistic", lambda *args, **options: fit(*args, **{**options, **one_step})
    )
    (miou, accuracy) = evaluate(scenes()).values()
    assert (miou.value, accuracy.value) == (None, None)
    assert miou.reason == "no optimum within 1 steps at l2 = 0.1"


def test_an_unknown_target_is_refused():
    with pytest.raises(ValidationError, match="'values', 'objects' or 'label'"):
        DenseSegmentationParams(target="pixels")
