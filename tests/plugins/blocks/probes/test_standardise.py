"""Columns against scikit-learn's scaler, and columns without spread."""

from __future__ import annotations

import pytest
import torch
from sklearn.preprocessing import StandardScaler

from sslbench_plugins.blocks.probes.standardise import Standardiser


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
