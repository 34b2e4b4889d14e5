from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sslbench.statistics.correlation import pearson, ranks, spearman


@pytest.mark.parametrize("n", [3, 5, 9, 50])
def test_correlations_are_scipys(n):
    one, other = np.random.default_rng(n).normal(size=(2, n))
    other = np.round(one + other, 1)  # with values that are equal
    result = pearson(one.tolist(), other.tolist()), spearman(one.tolist(), other.tolist())
    expected = stats.pearsonr(one, other), stats.spearmanr(one, other)
    assert [c.value for c in result] == pytest.approx([e.statistic for e in expected])
    if n >= 4:
        low, high = expected[0].confidence_interval(0.95)
        assert (result[0].low, result[0].high) == pytest.approx((low, high))
        half = 1.959964 * math.sqrt((1 + result[1].value ** 2 / 2) / (n - 3))
        middle = math.atanh(result[1].value)
        assert (result[1].low, result[1].high) == pytest.approx((math.tanh(middle - half), math.tanh(middle + half)))


@pytest.mark.parametrize("of", [pearson, spearman])
@pytest.mark.parametrize(
    ("first", "second", "value"),
    [
        ([1.0, 2.0], [1.0, 2.0], None),
        ([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0], None),
        ([0.1, 0.2, 0.3], [0.3, 0.1, 0.2], -0.5),
        ([1.0, 2.0, 3.0, 4.0, 5.0], [-2.0, -4.0, -6.0, -8.0, -10.0], -1.0),
    ],
)
def test_no_interval_where_none_is_defined(of, first, second, value):
    result = of(first, second)
    assert result.value == (value if value is None else pytest.approx(value))
    assert (result.low, result.high) == (None, None)


def test_equal_values_share_their_ranks():
    assert ranks([3.0, 1.0, 3.0, 2.0]) == [3.5, 1.0, 3.5, 2.0]


def test_pairs_must_be_pairs():
    with pytest.raises(ValueError, match="correlation of 2 values with 3"):
        pearson([1.0, 2.0], [1.0, 2.0, 3.0])
