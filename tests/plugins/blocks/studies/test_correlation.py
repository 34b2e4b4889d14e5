from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from sslbench_plugins.blocks.studies.correlation import pearson, pearson_rows


def test_it_is_pearsons():
    rng = np.random.RandomState(0)
    one, other = rng.rand(7, 9), rng.rand(7, 9)
    assert pearson(one, other) == pytest.approx(pearsonr(one.ravel(), other.ravel()).statistic, abs=1e-14)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.2, 0.0), (0.3, 40.0), (1e-6, 1e3), (1e6, -3.0)])
def test_an_affine_change_correlates_perfectly(scale, shift):
    image = np.random.RandomState(1).rand(8, 8)
    assert pearson(image, scale * image + shift) == pytest.approx(1, abs=1e-6)
    assert pearson(image, -scale * image + shift) == pytest.approx(-1, abs=1e-6)


def test_rounding_of_a_perfect_correlation_is_undone():
    image = np.random.RandomState(2).rand(3, 64, 64)
    assert pearson(image, image) == 1.0
    assert pearson(image, -2 * image) == -1.0


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e300])
def test_a_constant_array_has_none(value):
    varying = np.arange(10.0)
    assert pearson(np.full(10, value), varying) is None
    assert pearson(varying, np.full(10, value)) is None


@pytest.mark.parametrize(("one", "other"), [((2, 3), (3, 2)), ((4,), (5,)), ((0,), (0,))])
def test_shapes_must_be_equal_and_not_empty(one, other):
    with pytest.raises(ValueError, match="they must be equal, not empty"):
        pearson(np.zeros(one), np.zeros(other))


@pytest.mark.parametrize(("left", "right"), [(5, 5), (1, 5), (5, 1), (1, 1)])
def test_rows_are_correlated_one_by_one(left, right):
    rng = np.random.RandomState(3)
    one, other = rng.rand(left, 20), rng.rand(right, 20)
    values = pearson_rows(one, other)
    rows = max(left, right)
    plain = [np.corrcoef(one[i % left], other[i % right])[0, 1] for i in range(rows)]
    assert values == pytest.approx(plain, abs=1e-13)


def test_a_constant_row_is_nan_alone():
    one = np.array([[1.0, 2.0, 3.0], [7.0, 7.0, 7.0]])
    values = pearson_rows(one, np.array([[3.0, 5.0, 9.0]]))
    assert np.isfinite(values).tolist() == [True, False]
