from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sslbench.statistics.intervals import against_the_best, half_width, holm, paired_t, pooled_t


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_the_interval_of_a_mean_is_scipys(n):
    values = np.random.default_rng(n).normal(size=n)
    low, high = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
    half = half_width(float(values.std(ddof=1)), n)
    assert values.mean() - half == pytest.approx(low)
    assert values.mean() + half == pytest.approx(high)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_paired_test_is_scipys(n):
    one, other = np.random.default_rng(n).normal(size=(2, n))
    difference = paired_t((one - other).tolist())
    expected = stats.ttest_rel(one, other)
    low, high = expected.confidence_interval(0.95)
    assert (difference.mean, difference.n) == (pytest.approx((one - other).mean()), n)
    assert (difference.low, difference.high, difference.p) == pytest.approx((low, high, expected.pvalue))


def test_one_difference_has_neither_interval_nor_p():
    difference = paired_t([0.25])
    assert (difference.mean, difference.low, difference.high, difference.p, difference.n) == (0.25, None, None, None, 1)


@pytest.mark.parametrize(("same", "p"), [(0.1, None), (-0.3, None), (0.0, 1.0)])
def test_equal_differences_have_no_spread_to_be_compared_with(same, p):
    difference = paired_t([same] * 3)
    assert (difference.low, difference.high, difference.p) == (None, None, p)
    # 0.9 - 0.8 and 0.8 - 0.7 are 0.1 but for rounding.
    assert paired_t([0.9 - 0.8, 0.8 - 0.7]).p is None


def test_holm_multiplies_by_the_hypotheses_that_are_left_and_never_falls():
    values = [0.04, 0.01, 0.03, 0.5]
    # sorted: .01 x 4 = .04, .03 x 3 = .09, .04 x 2 = .08 (raised to .09), .5 x 1
    assert holm(values) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_against_the_best_counts_the_pairs_that_are_left():
    # sorted: .001 x 6 pairs of four, .01 x 3 of three, .04 x 1 of two
    assert against_the_best([0.04, 0.001, 0.01]) == pytest.approx([0.04, 0.006, 0.03])
    assert against_the_best([0.03]) == [0.03], "one rival needs no correction"
    assert against_the_best([]) == []


@pytest.mark.parametrize("rows", [2, 5, 12])
def test_the_best_of_equal_rows_is_told_apart_from_another_once_in_twenty_times_at_the_most(rows):
    generator = np.random.default_rng(rows)
    hits, uncorrected, tables = 0, 0, 300
    for _ in range(tables):
        best, *others = sorted(generator.normal(size=(rows, 5)), key=lambda values: -values.mean())
        p = [paired_t((best - other).tolist()).p for other in others]
        hits += min(against_the_best(p)) < 0.05
        uncorrected += min(holm(p)) < 0.05
    assert hits <= 0.06 * tables
    assert rows < 12 or uncorrected > 0.08 * tables


def test_the_deviation_of_all_rows_is_that_of_a_two_way_analysis_of_variance():
    values = np.random.default_rng(3).normal(size=(6, 4)) + np.arange(4)
    rows, seeds = values.shape
    residuals = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    variance = (residuals**2).sum() / ((rows - 1) * (seeds - 1))
    for other, (p, least) in zip(values[1:], pooled_t(values.tolist()), strict=True):
        own = stats.ttest_rel(other, values[0])
        error = max((2 * variance / seeds) ** 0.5, stats.sem(other - values[0]))
        t = (other - values[0]).mean() / error
        assert p == pytest.approx(2 * stats.t.sf(abs(t), (rows - 1) * (seeds - 1)))
        assert least == pytest.approx(min(1, own.pvalue * 5**0.5))


def test_two_rows_are_compared_by_their_own_deviation():
    first, second = [0.5, 0.6, 0.9], [0.4, 0.55, 0.6]
    ((p, least),) = pooled_t([first, second])
    assert (p, least) == pytest.approx((stats.ttest_rel(first, second).pvalue,) * 2)


@pytest.mark.parametrize("spread", [[1.0], [1.0, 5.0], [5.0, 5.0, 1.0, 1.0, 1.0, 1.0]])
def test_equal_rows_of_three_seeds_are_told_apart_once_in_twenty_tables_at_the_most_and_others_are(spread):
    generator, tables = np.random.default_rng(0), 300
    deviations = np.resize(spread, 12)[:, None]
    told = {0.0: 0, 20.0: 0}
    for behind in told:
        for _ in range(tables):
            values = generator.normal(size=(12, 3)) * deviations
            values[-1] -= behind
            values = values[np.argsort(-values.mean(axis=1), kind="stable")]
            p, least = zip(*pooled_t(values.tolist()), strict=True)
            told[behind] += min(map(max, against_the_best(p), least)) < 0.05
    assert told[0.0] <= 0.06 * tables
    assert told[20.0] >= 0.3 * tables
