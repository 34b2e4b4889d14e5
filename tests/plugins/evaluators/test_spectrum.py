from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sslbench_plugins.evaluators.label_free.measures import (
    alpha_req,
    effective_rank,
    entropy_rank,
    rankme,
    singular_values,
)


def gaussian(rows, columns, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (9, 9)])
def test_singular_values_are_numpys(shape):
    features = gaussian(*shape) + 3
    expected = np.linalg.svd(features.double().numpy(), compute_uv=False)
    assert singular_values(features).numpy() == pytest.approx(expected, rel=1e-6)


def test_values_that_are_rounding_are_zero():
    column = gaussian(50, 1)
    assert singular_values(torch.cat([column, 2 * column, -column], dim=1))[1:].tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(20, 64), (50, 128), (80, 512), (300, 20)])
def test_the_exponent_rests_on_no_eigenvalue_that_is_rounding(shape):
    """Centred, N images span N - 1 directions; columns that repeat span none."""
    features = gaussian(*shape) * torch.arange(1, shape[1] + 1) ** -0.5
    features = torch.cat([features, features[:, :3]], dim=1)
    sigma = np.linalg.svd((features - features.mean(dim=0)).double().numpy(), compute_uv=False)
    rank = min(shape[0] - 1, shape[1])
    indices = np.arange(3, min(100, rank) + 1)
    slope = np.polyfit(np.log(indices), 2 * np.log(sigma[2 : indices[-1]]), 1, w=indices**-0.5)[0]
    assert alpha_req(features) == pytest.approx(-slope, rel=1e-4)
    assert int((singular_values(features, centred=True) > 0).sum()) == rank


@pytest.mark.parametrize("constant", [0.1, 0.3, 1 / 3])
def test_a_constant_has_no_rank_whatever_it_is(constant):
    with pytest.raises(ValueError, match="all singular values are zero"):
        effective_rank(torch.full((1437, 64), constant))


@pytest.mark.parametrize("shape", [(60, 8), (8, 60)])
def test_rankme_is_the_formula_of_the_paper(shape):
    features = gaussian(*shape) + 1
    sigma = np.linalg.svd(features.double().numpy(), compute_uv=False)
    shares = sigma / sigma.sum() + 1e-7
    assert rankme(features) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-6)


def test_ranks_of_known_features():
    square = torch.eye(6)
    assert rankme(square) == pytest.approx(6, rel=1e-4)
    assert rankme(torch.ones(10, 4)) == pytest.approx(1, rel=1e-4)
    # Around their mean, the corners of a simplex span one direction fewer, all alike.
    assert effective_rank(square) == pytest.approx(5)
    assert effective_rank(gaussian(100, 1) @ torch.ones(1, 5) + 7) == pytest.approx(1, abs=1e-4)


def test_a_large_common_part_dominates_rankme_and_not_the_effective_rank():
    features = gaussian(500, 10) + 1000
    assert rankme(features) < 1.5
    assert effective_rank(features) > 9.5


def test_no_spread_has_no_rank():
    with pytest.raises(ValueError, match="all singular values are zero"):
        effective_rank(torch.full((5, 3), 2.0))
    with pytest.raises(ValueError, match="all singular values are zero"):
        entropy_rank(torch.zeros(3))


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.5])
def test_the_exponent_of_a_power_law_is_recovered(alpha):
    width, rows = 60, 400
    orthogonal = torch.linalg.qr((gaussian(rows, width) - gaussian(rows, width).mean(dim=0)).double())[0]
    orthogonal = torch.linalg.qr(orthogonal - orthogonal.mean(dim=0))[0]
    deviations = torch.arange(1, width + 1, dtype=torch.float64) ** (-alpha / 2)
    assert alpha_req(orthogonal * deviations) == pytest.approx(alpha, abs=1e-6)


def test_the_line_is_numpys_weighted_fit():
    features = gaussian(300, 20) @ gaussian(20, 20, seed=1)
    eigenvalues = np.linalg.svd((features - features.mean(dim=0)).double().numpy(), compute_uv=False) ** 2
    indices = np.arange(3, 21)
    # polyfit squares its weights
    slope = np.polyfit(np.log(indices), np.log(eigenvalues[2:]), 1, w=indices**-0.5)[0]
    assert alpha_req(features) == pytest.approx(-slope, rel=1e-6)


def test_a_line_through_too_few_eigenvalues_is_refused():
    with pytest.raises(ValueError, match="4 eigenvalues from rank 3 on are not zero; a line needs 5"):
        alpha_req(gaussian(50, 6))
    with pytest.raises(ValueError, match="0 eigenvalues from rank 3 on"):
        alpha_req(torch.ones(50, 6))
