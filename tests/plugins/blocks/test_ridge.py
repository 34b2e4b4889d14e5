from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import Ridge

from sslbench_plugins.blocks.ridge import RidgePath


@pytest.mark.parametrize("l2", [10.0, 0.1, 1e-4])
@pytest.mark.parametrize("shape", [(50, 6), (8, 20)])
def test_it_is_scikit_learns_at_any_strength(shape, l2):
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


def test_without_any_spread_the_answer_is_the_mean():
    weight, bias = RidgePath(torch.zeros(4, 3), torch.tensor([0.0, 1.0, 2.0, 5.0])).at(0.1)
    assert (weight.tolist(), float(bias)) == ([0, 0, 0], 2.0)
