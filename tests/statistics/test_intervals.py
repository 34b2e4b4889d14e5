from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sslbench.statistics.intervals import Interval, Moments, difference_of_means, ratio_of_series


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_the_difference_of_means_is_welchs(level):
    first, second = [0.91, 0.93, 0.92], [0.95, 0.99, 0.90, 0.97]
    interval = difference_of_means(Moments.of(first), Moments.of(second), level)
    expected = stats.ttest_ind(second, first, equal_var=False).confidence_interval(level)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_without_any_spread_a_difference_is_a_point():
    assert difference_of_means(Moments(0.5, 0.0, 3), Moments(0.75, 0.0, 3)) == Interval(0.25, 0.25)


def test_of_one_value_there_is_no_spread():
    with pytest.raises(ValueError, match="at least two"):
        Moments.of([0.5])


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_the_ratio_of_series_holds_the_true_ratio(statistic):
    """At 95% it should miss one time in twenty; of 60 at most ten."""
    misses = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        first, second = (10 * generator.lognormal(0, 0.1, 120), 11 * generator.lognormal(0, 0.1, 150))
        ends = ratio_of_series(list(first), list(second), statistic)
        misses += not ends.low <= 1.1 <= ends.high
    assert misses <= 10


def test_a_machine_that_is_slow_for_a_while_widens_the_interval():
    """Steps that are slow in rows say less than as many that are slow here and there."""
    generator = np.random.default_rng(0)
    slow = (np.arange(400) // 50) % 2 == 1
    rows = 10 + 5 * slow + generator.normal(0, 0.1, 400)
    mixed = generator.permutation(rows)
    wide, narrow = (ratio_of_series(list(series[::-1]), list(series), "mean") for series in (rows, mixed))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_same_series_have_the_same_interval_and_a_long_one_is_thinned():
    generator = np.random.default_rng(0)
    first, second = list(generator.normal(10, 1, 50_000)), list(generator.normal(12, 1, 20))
    interval = ratio_of_series(first, second)
    assert interval == ratio_of_series(first, second)
    assert interval.low < 1.2 < interval.high
    assert math.isfinite(interval.high)
