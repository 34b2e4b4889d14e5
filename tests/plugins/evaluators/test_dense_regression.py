"""Measures against plain loops and scikit-learn, unknown and zero depths, choices on training images alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import root_mean_squared_error

from sslbench_plugins.blocks.probes.frozen_tokens import SampledPixels, patch_tokens, sample_pixels
from sslbench_plugins.blocks.probes.linear_maps import RidgePath, Standardiser
from sslbench_plugins.evaluators import dense_regression
from sslbench_plugins.evaluators.dense_regression import DenseRegression, DenseRegressionParams, fit_depth, scores

NAN = float("nan")


def evaluate(data, **given):
    return {metric.name: metric for metric in DenseRegression(DenseRegressionParams(**given)).evaluate(data)}


def bright(split):
    """Depth that tokens can predict: the brightness of the pixel, and a little more."""
    return replace(split, maps={"depth": split.images.float().mean(dim=1) / 300 + 0.1})


def plain_scores(true, predicted):
    squares, within, positive = [], 0, 0
    for t, p in zip(true.flatten().tolist(), predicted.flatten().tolist(), strict=True):
        if math.isnan(t):
            continue
        squares.append((t - p) ** 2)
        if t > 0:
            positive += 1
            within += max(t / p, p / t) < 1.25 if p > 0 else 0
    return math.sqrt(sum(squares) / len(squares)), within / positive


def test_scores_are_those_of_the_plain_loop():
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(4, 6, 6, generator=generator)
    predicted = true * (0.7 + 0.6 * torch.rand(4, 6, 6, generator=generator))
    true[0, 0], true[1, 2, 3], true[2, 4] = NAN, 0.0, 0.0
    predicted[3, 0, 0] = 0.0
    errors, shares = scores(true, predicted)
    for t, p, error, share in zip(true, predicted, errors.tolist(), shares.tolist(), strict=True):
        assert (error, share) == pytest.approx(plain_scores(t, p))
    assert 0.2 < shares.mean() < 0.9


def test_the_error_is_scikit_learns_and_exactly_a_quarter_more_is_not_within():
    true, predicted = torch.tensor([[[0.5, 0.5], [0.625, 0.625]]]), torch.tensor([[[0.625, 0.624], [0.5, 0.501]]])
    errors, shares = scores(true, predicted)
    assert float(errors) == pytest.approx(root_mean_squared_error(true.flatten(), predicted.flatten()))
    assert float(shares) == 0.5


def test_an_image_without_known_or_positive_depths_has_no_score():
    errors, shares = scores(torch.tensor([[[NAN, NAN]], [[0.0, 0.0]]]), torch.zeros(2, 1, 2))
    assert [math.isnan(value) for value in errors.tolist()] == [True, False]
    assert [math.isnan(value) for value in shares.tolist()] == [True, True]


def test_the_evaluator_fits_as_scikit_learn(scenes, changed):
    data = scenes(changed(bright))
    model = data.model
    pixels = sample_pixels(
        model, lambda i: model.maps("train", "depth", i), torch.isfinite, torch.arange(64), 3000, data.seed
    )
    standardise = Standardiser.fitted(pixels.features)
    features, values = standardise(pixels.features).double().numpy(), pixels.values.double().numpy()
    held_out = pixels.held_out.numpy()
    errors = {}
    for l2 in dense_regression.L2_VALUES:
        fitted = Ridge(alpha=l2 * (~held_out).sum()).fit(features[~held_out], values[~held_out])
        predictions = fitted.predict(features[held_out]).clip(values.min(), values.max())
        errors[l2] = root_mean_squared_error(values[held_out], predictions)
    fitted = Ridge(alpha=min(errors, key=errors.get) * len(values)).fit(features, values)
    tokens = patch_tokens(model, "test", torch.arange(32))
    flat = standardise(tokens.permute(0, 2, 3, 1).reshape(-1, 16)).double().numpy()
    coarse = torch.from_numpy(fitted.predict(flat)).view(32, 1, 4, 4)
    predictions = torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear", align_corners=False)[:, 0]
    predictions = predictions.clamp(values.min(), values.max())
    true = model.maps("test", "depth", torch.arange(32))
    expected = [plain_scores(t, p) for t, p in zip(true, predictions, strict=True)]
    metrics = evaluate(data, pixels=3000)
    assert metrics["depth_rmse"].per_image.tolist() == pytest.approx([error for error, _ in expected], abs=1e-4)
    assert metrics["depth_delta1"].value == pytest.approx(sum(share for _, share in expected) / 32, abs=1e-3)
    assert not metrics["depth_rmse"].higher_is_better
    assert metrics["depth_delta1"].higher_is_better
    plain = scores(true, torch.full_like(true, float(values.mean())))[0].mean()
    assert metrics["depth_rmse"].value < 0.8 * plain


def test_metrics_are_means_of_their_values_of_each_image(scenes, changed):
    for metric in evaluate(scenes(changed(bright))).values():
        assert metric.per_image.shape == (32,)
        assert float(metric.per_image.mean()) == pytest.approx(metric.value)


def test_images_without_known_depth_are_left_out(scenes, changed):
    def partly(split):
        split = bright(split)
        depth = split.maps["depth"].clone()
        depth[:8], depth[:, :, 12:] = NAN, NAN
        return replace(split, maps={"depth": depth})

    metrics, whole = evaluate(scenes(changed(partly))), evaluate(scenes(changed(bright)))
    assert metrics["depth_rmse"].value == pytest.approx(whole["depth_rmse"].value, rel=0.1)
    assert metrics["depth_rmse"].per_image is None


def test_zero_depths_count_in_the_error_alone(scenes, changed):
    def zeros(split):
        return (
            replace(split, maps={"depth": torch.zeros_like(split.maps["depth"])}) if len(split) == 32 else bright(split)
        )

    metrics = evaluate(scenes(changed(zeros)))
    assert metrics["depth_rmse"].value > 0.1
    assert metrics["depth_delta1"].value is None
    assert metrics["depth_delta1"].reason == "no test image has a pixel whose depth is known and above 0"


def test_predictions_stay_within_the_training_depths():
    features = torch.arange(10.0)[:, None] / 10
    head = fit_depth(SampledPixels(features, features[:, 0], torch.arange(10) % 2 == 0))
    predictions = head.at_pixels(torch.tensor([-50.0, 0.4, 50.0])[None, None, None], 3)
    assert float(predictions.min()) == 0
    assert float(predictions.max()) == pytest.approx(0.9)


def test_the_l2_is_chosen_on_held_out_pixels():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 20, generator=generator)
    values = features[:, 0] + 2 * torch.randn(60, generator=generator)
    held_out = torch.arange(60) >= 40
    noisy = fit_depth(SampledPixels(features, values, held_out))
    clean = fit_depth(SampledPixels(features, features[:, 0].clone(), held_out))
    assert noisy.weight.norm() < 0.8 * RidgePath(features, values).at(1e-5)[0].norm()
    assert clean.weight[0, 0] == pytest.approx(1, abs=0.2)


def test_constant_tokens_predict_the_mean_depth(scenes, changed):
    blank = changed(lambda split: replace(split, images=torch.full_like(split.images, 90)))
    metrics = evaluate(scenes(blank), pixels=64 * 256)
    depth = torch.linspace(0, 1, 16)
    assert metrics["depth_rmse"].value == pytest.approx(float(depth.std(correction=0)), abs=1e-4)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.5, "all training depths are 0.5: there is nothing to tell apart"),
        (0.0, "all training depths are 0: there is nothing to tell apart"),
        (NAN, "no pixel of the training maps has a known depth"),
    ],
)
def test_depths_of_one_value_are_no_task(scenes, changed, value, reason):
    same = changed(lambda split: replace(split, maps={"depth": torch.full_like(split.maps["depth"], value)}))
    assert {(m.value, m.reason) for m in evaluate(scenes(same)).values()} == {(None, reason)}


def test_known_depths_in_a_single_image_leave_none_to_choose_by(scenes, changed):
    def one(split):
        depth = torch.full_like(split.maps["depth"], NAN)
        depth[5] = split.maps["depth"][5]
        return replace(split, maps={"depth": depth})

    reason = "too few training images have known depths to hold some out and choose the regularisation"
    assert {(m.value, m.reason) for m in evaluate(scenes(changed(one))).values()} == {(None, reason)}


def test_the_test_depths_do_not_reach_the_fit(scenes, changed, monkeypatch):
    heads = []
    fit = dense_regression.fit_depth
    monkeypatch.setattr(dense_regression, "fit_depth", lambda pixels: heads.append(fit(pixels)) or heads[-1])
    evaluate(scenes(changed(bright)))
    evaluate(scenes(changed(lambda s: replace(s, maps={"depth": s.maps["depth"] * 0}) if len(s) == 32 else bright(s))))
    assert all(torch.equal(a, b) for a, b in zip(heads[0][:2], heads[1][:2], strict=True))
