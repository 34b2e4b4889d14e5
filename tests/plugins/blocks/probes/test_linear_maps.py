"""Columns and ridge regression against scikit-learn, and columns without spread."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from sslbench.testing.pretended_gpu import DEVICE, PretendedGpu
from sslbench_plugins.blocks.probes.linear_maps import RidgePath, Standardiser, fit_ridge


def test_columns_are_those_of_scikit_learns_scaler() -> None:
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randn(50, 4, generator=generator) * torch.tensor([1e-5, 1, 30, 1e6]) + 5 for _ in range(2))
    train[:, 0] -= 5
    test[:, 0] -= 5
    scaler, standardise = StandardScaler().fit(train.double().numpy()), Standardiser.fitted(train)
    for features in (train, test):
        expected = torch.from_numpy(scaler.transform(features.double().numpy())).float()
        torch.testing.assert_close(standardise(features), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e-20])
def test_a_constant_column_becomes_zero_in_every_split(value: float) -> None:
    standardise = Standardiser.fitted(torch.full((1001, 1), value))
    assert standardise(torch.tensor([[value], [3.0], [1e9]])).abs().max() == 0


def test_a_column_that_differs_by_rounding_only_is_constant() -> None:
    """An encoder gives the same image in another batch another last bit."""
    value = torch.tensor(0.1)
    features = torch.where(torch.arange(1000) % 3 == 0, value, value.nextafter(torch.tensor(1.0)))[:, None]
    assert len(features.unique()) == 2
    assert Standardiser.fitted(features)(features).abs().max() == 0


def test_a_column_with_one_different_value_is_not_constant() -> None:
    features = torch.zeros(1000, 1)
    features[7] = 1e-3
    standardise = Standardiser.fitted(features)
    assert standardise(features).std(correction=0).item() == pytest.approx(1, rel=1e-4)


def test_a_single_sample_has_no_spread_and_input_is_left_alone() -> None:
    features = torch.tensor([[1.0, 2.0]])
    assert Standardiser.fitted(features)(features).tolist() == [[0, 0]]
    assert features.tolist() == [[1, 2]]


@pytest.mark.pretended
def test_a_gpu_standardises_in_17_operations() -> None:
    with PretendedGpu() as gpu:
        features = torch.empty(50_000, 512, device=DEVICE)
        Standardiser.fitted(features)(features)
    assert gpu.launches.total() <= 17
    assert not gpu.work.waits


@pytest.mark.parametrize("l2", [10.0, 0.1, 1e-4])
@pytest.mark.parametrize("shape", [(50, 6), (8, 20)])
def test_it_is_scikit_learns_at_any_l2(shape, l2):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(shape, generator=generator) @ torch.randn(shape[1], shape[1], generator=generator) + 3
    values = torch.rand(shape[0], generator=generator)
    weight, bias = RidgePath(features, values).at(l2)
    model = Ridge(alpha=shape[0] * l2).fit(features.double().numpy(), values.double().numpy())
    assert torch.allclose(weight, torch.from_numpy(model.coef_), atol=1e-8)
    assert float(bias) == pytest.approx(float(model.intercept_), abs=1e-7)


def test_columns_without_spread_get_no_weight():
    features = torch.cat([torch.randn(20, 2), torch.zeros(20, 1)], dim=1)
    weight, bias = RidgePath(features, features[:, 0] * 2 + 1).at(1e-6)
    assert weight.tolist() == pytest.approx([2, 0, 0], abs=1e-4)
    assert float(bias) == pytest.approx(1, abs=1e-4)


def test_without_any_spread_the_prediction_is_the_mean():
    weight, bias = RidgePath(torch.zeros(4, 3), torch.tensor([0.0, 1.0, 2.0, 5.0])).at(0.1)
    assert (weight.tolist(), float(bias)) == ([0, 0, 0], 2.0)


def test_the_l2_is_the_best_on_what_was_held_out_and_all_are_fitted_with_it():
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(40, 30, generator=generator)
    values = features[:, 0] + torch.randn(40, generator=generator)
    held_out = torch.arange(40) % 4 == 0
    l2_values = (1e-5, 1e-2, 0.3, 10.0)
    kept, others = features[~held_out].numpy(), features[held_out].numpy()
    models = [Ridge(alpha=30 * l2).fit(kept, values[~held_out].numpy()) for l2 in l2_values]
    errors = [float(((model.predict(others) - values[held_out].numpy()) ** 2).mean()) for model in models]
    best = l2_values[errors.index(min(errors))]
    assert best not in (l2_values[0], l2_values[-1])
    weight, bias = fit_ridge(features, values, held_out, l2_values)
    expected = RidgePath(features, values).at(best)
    assert torch.equal(weight, expected[0])
    assert torch.equal(bias, expected[1])
    # Where every prediction is the same, no l2 is better than the first.
    alike = fit_ridge(features, values, held_out, l2_values, torch.zeros_like)
    assert torch.equal(alike[0], RidgePath(features, values).at(l2_values[0])[0])
