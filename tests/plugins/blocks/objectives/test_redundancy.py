from __future__ import annotations

import pytest
import torch

from sslbench_plugins.blocks.objectives.redundancy import (
    covariance,
    covariance_term,
    cross_correlation,
    effective_dimensions,
    off_diagonal,
    off_diagonal_term,
    on_diagonal_term,
    variance_term,
)


def embeddings(rows=7, dims=4, seed=0):
    return torch.randn(rows, dims, generator=torch.Generator().manual_seed(seed)) * 2 + 1


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def plain_covariance(z):
    """Bardes et al. 2022, equation 3, an entry at a time."""
    z = z.double().tolist()
    n, dims = len(z), len(z[0])
    means = [mean(row[j] for row in z) for j in range(dims)]
    return [
        [sum((row[i] - means[i]) * (row[j] - means[j]) for row in z) / (n - 1) for j in range(dims)]
        for i in range(dims)
    ]


def plain_correlation(a, b):
    """Zbontar et al. 2021, equation 2, an entry at a time, of embeddings whose mean over the batch was taken away."""
    a, b = a.double().tolist(), b.double().tolist()
    columns = [[[row[j] for row in z] for j in range(len(z[0]))] for z in (a, b)]
    columns = [[[value - mean(column) for value in column] for column in side] for side in columns]

    def entry(x, y):
        # 1e-5 is batch norm's, under the root.
        lengths = [(mean(v * v for v in side) + 1e-5) ** 0.5 for side in (x, y)]
        return mean(v * w for v, w in zip(x, y, strict=True)) / lengths[0] / lengths[1]

    return [[entry(x, y) for y in columns[1]] for x in columns[0]]


def test_covariance_and_its_terms_equal_plain_loops():
    z = embeddings()
    plain, matrix = plain_covariance(z), covariance(z)
    assert torch.allclose(matrix.double(), torch.tensor(plain, dtype=torch.float64), atol=1e-6, rtol=1e-6)
    for gamma, epsilon in ((1.0, 1e-4), (3.0, 1e-4), (2.0, 0.5)):
        hinge = mean(max(0.0, gamma - (plain[j][j] + epsilon) ** 0.5) for j in range(4))
        assert variance_term(matrix, gamma, epsilon).item() == pytest.approx(hinge, abs=1e-6)
    squares = sum(plain[i][j] ** 2 for i in range(4) for j in range(4) if i != j) / 4
    assert covariance_term(matrix).item() == pytest.approx(squares, rel=1e-6)


def test_cross_correlation_and_its_terms_equal_plain_loops():
    a, b = embeddings(), embeddings(seed=1)
    b = 0.6 * a + b
    plain, matrix = plain_correlation(a, b), cross_correlation(a, b)
    assert torch.allclose(matrix.double(), torch.tensor(plain, dtype=torch.float64), atol=1e-6)
    diagonal = sum((1 - plain[i][i]) ** 2 for i in range(4))
    others = sum(plain[i][j] ** 2 for i in range(4) for j in range(4) if i != j)
    assert on_diagonal_term(matrix).item() == pytest.approx(diagonal, rel=1e-6)
    assert off_diagonal_term(matrix).item() == pytest.approx(others, rel=1e-6)


def test_other_normalisations():
    a, b = embeddings(), embeddings(seed=1)
    assert torch.allclose(cross_correlation(a, b, "none"), a.T @ b / 7, rtol=1e-5)

    def of_image(z):
        z = z - z.mean(dim=1, keepdim=True)
        return z / (z.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()

    assert torch.allclose(cross_correlation(a, b, "features"), of_image(a).T @ of_image(b) / 7, atol=1e-6)


def test_cross_correlation_does_not_depend_on_scale_and_offset_of_a_dimension():
    a, b = embeddings(), embeddings(seed=1)
    moved = a * torch.tensor([1.0, 10, 100, 2]) + torch.tensor([5.0, -3, 0, 1])
    assert torch.allclose(cross_correlation(a, b), cross_correlation(moved, b), atol=1e-4)


def test_what_is_not_on_the_diagonal():
    matrix = torch.arange(16.0).view(4, 4)
    kept = [value for value in range(16) if value % 5]
    assert off_diagonal(matrix).flatten().tolist() == kept
    assert off_diagonal(torch.ones(1, 1)).numel() == 0


def test_effective_dimensions_counts_directions():
    assert effective_dimensions(torch.eye(6)).item() == pytest.approx(6)
    assert effective_dimensions(torch.ones(6, 6)).item() == pytest.approx(1)
    assert effective_dimensions(torch.diag(torch.tensor([3.0, 3, 0, 0]))).item() == pytest.approx(2)
    assert effective_dimensions(torch.zeros(6, 6)).item() == 1


@pytest.mark.parametrize("function", [covariance, lambda z: cross_correlation(z, z.flip(0))])
def test_gradients_equal_numerical_ones(function):
    z = embeddings(5, 3)
    weights = torch.randn(3, 3, generator=torch.Generator().manual_seed(2))

    def value(z):
        return (function(z).double() * weights).sum()

    z.requires_grad_()
    (gradient,) = torch.autograd.grad(value(z), z)
    with torch.no_grad():
        for row, column in ((0, 0), (3, 1), (4, 2)):
            step = torch.zeros_like(z)
            step[row, column] = 1e-2
            numerical = (value(z + step) - value(z - step)) / 2e-2
            assert gradient[row, column].item() == pytest.approx(numerical.item(), abs=2e-3)


@pytest.mark.parametrize("function", [covariance, lambda z: cross_correlation(z, z)])
def test_half_precision_and_autocast_change_no_sum(function):
    z = embeddings().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        matrix = function(z)
    assert matrix.dtype == torch.float32
    assert torch.allclose(matrix, function(z.float()), atol=1e-6)
