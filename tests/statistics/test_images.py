from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sslbench.statistics.images import (
    MOST_VALUES,
    RESAMPLES,
    compare_images,
    grouped,
    mcnemar_exact,
    smallest_difference,
)


@pytest.mark.parametrize(("first", "second"), [(3, 12), (12, 3), (0, 5), (40, 41), (1, 0)])
def test_mcnemar_is_the_binomial_test_of_the_images_that_only_one_has_right(first, second):
    expected = stats.binomtest(first, first + second, 0.5).pvalue
    assert mcnemar_exact(first, second) == pytest.approx(expected)


def test_models_that_agree_on_every_image_do_not_differ():
    right = np.array([1, 0, 1, 1])
    difference, test = compare_images(right, right)
    assert (difference.mean, difference.low, difference.high, difference.p, difference.n) == (0, 0, 0, 1, 4)
    assert test == "McNemar over images"


def test_the_interval_is_that_of_resampled_images():
    generator = np.random.default_rng(0)
    one, other = (generator.random(400) < 0.9).astype(float), (generator.random(400) < 0.8).astype(float)
    difference, _ = compare_images(one, other)
    draws = np.random.default_rng(1).integers(0, 400, (RESAMPLES, 400))
    low, high = np.quantile((one - other)[draws].mean(axis=1), [0.025, 0.975])
    assert difference.mean == pytest.approx((one - other).mean())
    assert (difference.low, difference.high) == pytest.approx((low, high), abs=0.004)
    assert difference.low > 0
    assert difference.p == pytest.approx(stats.binomtest(int((one > other).sum()), int((one != other).sum())).pvalue)


def test_shares_are_compared_by_the_bootstrap():
    generator = np.random.default_rng(0)
    one = generator.random(300).astype(np.float16)
    difference, test = compare_images(one, one - np.float16(0.25))
    assert test == "bootstrap over images"
    assert difference.mean == pytest.approx(0.25, abs=1e-3)
    assert difference.p == pytest.approx(2 / (RESAMPLES + 1))
    noise = generator.normal(size=300)
    tie, _ = compare_images(one, one + noise - noise.mean())
    assert tie.low < 0 < tie.high
    assert tie.p > 0.5


def test_many_values_are_resampled_in_groups_that_keep_mean_and_spread():
    differences = np.random.default_rng(0).normal(0.1, 1.0, 5_000)
    values, counts = grouped(differences)
    assert (len(values), counts.sum()) == (MOST_VALUES, 5_000)
    assert values @ counts / 5_000 == pytest.approx(differences.mean())
    assert np.sqrt((values**2 @ counts) / 5_000 - differences.mean() ** 2) == pytest.approx(1.0, rel=0.02)
    found, _ = compare_images(differences, np.zeros(5_000))
    half = 1.96 / np.sqrt(5_000)
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), abs=0.002)


def test_a_few_images_that_differ_claim_no_more_than_their_signs():
    """Resamples of five differences of one sign, among 300 images that do not differ, are all but always above 0."""
    differences = np.zeros(300)
    differences[:5] = 0.5
    assert compare_images(differences, np.zeros(300))[0].p == 0.0625


def test_the_same_images_give_the_same_result():
    one, other = np.random.default_rng(3).random((2, 50))
    assert compare_images(one, other) == compare_images(one, other)


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((0,), (0,)), ((2, 2), (2, 2))])
def test_what_cannot_be_paired_is_refused(shapes):
    with pytest.raises(ValueError, match="they must be equal, not empty"):
        compare_images(*(np.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("images", [6, 20, 360, 10_000])
def test_the_smallest_difference_is_the_first_that_the_test_tells_from_none(images):
    smallest = smallest_difference(images)
    only_one_right = round(smallest * images)
    assert smallest == only_one_right / images
    assert stats.binomtest(only_one_right, only_one_right).pvalue <= 0.05
    assert stats.binomtest(only_one_right - 1, only_one_right - 1).pvalue > 0.05


def test_five_images_can_show_no_difference():
    assert smallest_difference(5) is None
    assert smallest_difference(6) == 1.0
    assert smallest_difference(5, level=0.9) == 1.0
    assert smallest_difference(20) == 0.3
