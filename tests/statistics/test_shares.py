"""Intervals and tests of shares against scipy's and by simulation, and the numbers of images against tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sslbench.statistics.shares import (
    Share,
    above_share,
    accuracy,
    balanced_accuracy,
    blind_p,
    compare_right,
    compare_unpaired,
    images_needed,
)


@pytest.mark.parametrize(("right", "images"), [(0, 20), (20, 20), (300, 400), (7, 10), (1, 1)])
def test_the_interval_is_wilsons(right, images):
    share = accuracy(right / images, images)
    expected = stats.binomtest(right, images).proportion_ci(method="wilson")
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("right", "images", "share"), [(60, 60, 58 / 60), (58, 60, 58 / 60), (30, 40, 0.5), (3, 40, 0.5)]
)
def test_a_share_is_held_against_a_constant_answer_by_the_binomial_test(right, images, share):
    one_sided = stats.binomtest(right, images, share, alternative="greater").pvalue
    expected = 1.0 if right <= images * share else min(1.0, 2 * one_sided)
    assert above_share(right, images, share) == pytest.approx(expected)


def test_nothing_is_above_a_constant_answer_that_is_always_right():
    assert above_share(20, 20, 1.0) == 1.0


def test_balanced_accuracy_counts_classes_and_not_images():
    labels = np.repeat([0, 1], [58, 2])
    constant = balanced_accuracy((labels == 0).astype(float), labels)
    assert (constant.value, constant.images) == (0.5, 60)
    assert constant.low < 0.5 < constant.high
    # With one class it is the accuracy, with Wilson's interval.
    one = balanced_accuracy(np.array([1.0] * 7 + [0.0] * 3), np.zeros(10, dtype=int))
    assert (one.low, one.high) == pytest.approx((accuracy(0.7, 10).low, accuracy(0.7, 10).high))


def test_the_interval_of_a_balanced_accuracy_holds_the_truth_nineteen_times_in_twenty():
    generator, labels, held = np.random.default_rng(0), np.repeat([0, 1, 2], [200, 40, 10]), 0
    truth = np.array([0.95, 0.7, 0.5])
    for _ in range(300):
        share = balanced_accuracy((generator.random(250) < truth[labels]).astype(float), labels)
        held += share.low <= truth.mean() <= share.high
    assert held >= 0.93 * 300


def test_answers_that_do_not_depend_on_the_images_pass_once_in_forty_times_at_the_most():
    """Two-sided at 5%, so that half of it lies above."""
    generator, labels = np.random.default_rng(0), np.repeat([0, 1], [50, 10])
    hits = sum(blind_p((generator.random(60) < 0.2).astype(int), labels) < 0.05 for _ in range(60))
    assert hits <= 3
    assert blind_p(labels, labels) < 0.001
    assert blind_p(np.zeros(60, dtype=int), labels) == 1.0


def test_equal_classes_are_compared_by_mcnemars_test():
    generator = np.random.default_rng(0)
    one, other = (generator.random(200) < 0.8).astype(int), (generator.random(200) < 0.6).astype(int)
    difference, test, needed = compare_right(one, other)
    ahead, behind = int((one > other).sum()), int((one < other).sum())
    assert test == "McNemar over images"
    assert difference.p == pytest.approx(stats.binomtest(ahead, ahead + behind).pvalue)
    discordant, gap = (ahead + behind) / 200, (ahead - behind) / 200
    assert needed == images_needed(gap, discordant, discordant - gap**2)


def test_unequal_classes_are_compared_class_by_class():
    labels = np.repeat([0, 1], [90, 10])
    base = (labels == 0).astype(int)
    seven_of_ten = base.copy()
    seven_of_ten[90:97] = 1
    difference, test, _ = compare_right(seven_of_ten, base, labels)
    assert (difference.mean, test) == (pytest.approx(0.35), "signs over images, by class")
    assert difference.p == pytest.approx(2 / 2**7, abs=0.01)
    assert 0 < difference.low < 0.35 < difference.high
    assert compare_right(base, base, labels)[0].p == 1.0


@pytest.mark.parametrize("counts", [(100, 100), (180, 20)])
def test_two_equal_models_are_told_apart_once_in_twenty_times_at_the_most(counts):
    generator, labels = np.random.default_rng(1), np.repeat([0, 1], counts)
    hard = generator.normal(size=200)
    hits = 0
    for _ in range(100):
        one, other = ((generator.normal(size=200) + hard > -1).astype(int) for _ in range(2))
        hits += compare_right(one, other, labels if counts[1] == 20 else None)[0].p < 0.05
    assert hits <= 7


def test_where_nobody_knows_which_images_are_right_shares_are_compared():
    difference, test, needed = compare_unpaired(accuracy(0.6, 100), accuracy(0.5, 100))
    assert test == "two shares, not paired"
    # Newcombe's method 10
    assert (difference.low, difference.high) == pytest.approx((-0.0367, 0.2313), abs=2e-3)
    assert difference.p == pytest.approx(2 * stats.norm.sf(0.1 / np.sqrt(2 * 0.55 * 0.45 / 100)))
    assert needed == 388
    assert compare_unpaired(Share(1, 0.8, 1, 9), Share(1, 0.8, 1, 9))[0].p == 1.0


@pytest.mark.parametrize(
    ("first", "second", "images"), [(0.5, 0.6, 388), (0.1, 0.2, 199), (0.3, 0.5, 93), (0.8, 0.9, 199), (0.05, 0.1, 435)]
)
def test_two_proportions_need_what_tables_say(first, second, images):
    """Fleiss, without continuity correction: alpha 0.05 two-sided, power 0.8, images of each."""
    pooled = (first + second) / 2
    variance = first * (1 - first) + second * (1 - second)
    assert images_needed(second - first, 2 * pooled * (1 - pooled), variance, exact=False) == images


def test_so_many_images_show_a_difference_four_times_in_five():
    """Connor's number for McNemar's test, and ten more for the exact one, by simulation."""
    ahead, behind = 0.25, 0.15
    images = images_needed(0.1, 0.4, 0.4 - 0.01)
    assert images == 10 + images_needed(0.1, 0.4, 0.4 - 0.01, exact=False) == 322
    draws = np.random.default_rng(0).multinomial(images, [ahead, behind, 0.6], size=600)
    shown = np.mean([stats.binomtest(up, up + down).pvalue < 0.05 for up, down, _ in draws.tolist()])
    assert shown == pytest.approx(0.8, abs=0.05)


def test_a_few_images_that_are_all_right_are_not_said_to_be_enough():
    """Of two equal classes, six in a row are the first that a coin gives less than once in twenty times."""
    assert images_needed(0.5, 0.25, 0.0) == 6
    assert above_share(5, 5, 0.5) > 0.05 > above_share(6, 6, 0.5)


def test_no_number_of_images_shows_what_was_not_seen():
    assert images_needed(0.0, 0.2, 0.2) is None
    assert images_needed(-0.1, 0.2, 0.2) is None
