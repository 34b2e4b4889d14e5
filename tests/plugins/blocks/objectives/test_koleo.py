from __future__ import annotations

import math

import pytest
import torch

from sslbench_plugins.blocks.objectives.koleo import koleo


def plain(features):
    """Oquab et al. 2023, section 4: the mean of -log of the distance to the nearest other image."""
    rows = [[value / math.sqrt(sum(x * x for x in row)) for value in row] for row in features.tolist()]
    total = 0.0
    for i, row in enumerate(rows):
        others = [math.dist(row, other) for j, other in enumerate(rows) if j != i]
        total -= math.log(min(others))
    return total / len(rows)


@pytest.mark.parametrize(("rows", "dim"), [(2, 3), (7, 4), (32, 16)])
def test_it_is_the_mean_log_distance_to_the_nearest_neighbour(rows, dim):
    features = 3 * torch.randn(rows, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert koleo(features).item() == pytest.approx(plain(features), rel=1e-6)


def test_its_gradient_is_that_of_finite_differences():
    features = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(koleo, features)


def test_it_pushes_the_nearest_rows_apart():
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(2), requires_grad=True)
    (gradient,) = torch.autograd.grad(koleo(features), features)
    moved = features.detach() - 0.01 * gradient
    assert plain(moved) < plain(features.detach())


def test_equal_rows_have_a_finite_gradient():
    features = torch.ones(4, 3, requires_grad=True)
    loss = koleo(features)
    (gradient,) = torch.autograd.grad(loss, features)
    assert loss > 10
    assert torch.isfinite(gradient).all()


def test_under_autocast_it_is_in_float32():
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(koleo(features), koleo(features.clone()))
        assert koleo(features.bfloat16()).dtype == torch.float32
    assert koleo(features).item() == pytest.approx(plain(features), rel=1e-5)
