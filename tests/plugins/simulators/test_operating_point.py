from __future__ import annotations

import numpy as np
import pytest

from sslbench_plugins.simulators.imbalance_comparator.tables import operating_points, sensitivity_and_specificity

SCORES = np.array([0.9, 0.6, 0.3, 0.7, 0.2, 0.1])
POSITIVE = np.array([True, True, True, False, False, False])


def test_sensitivity_and_specificity_at_each_threshold():
    sensitivity, specificity = sensitivity_and_specificity(SCORES, POSITIVE, np.array([0.0, 0.3, 0.65, 1.0]))
    assert sensitivity == pytest.approx([1, 1, 1 / 3, 0])
    assert specificity == pytest.approx([0, 2 / 3, 2 / 3, 1])


def test_shares_are_counted_one_score_at_a_time_with_ties():
    rng = np.random.RandomState(0)
    scores, positive = rng.randint(0, 10, 60) / 10, rng.rand(60) < 0.3
    thresholds = np.linspace(0, 1, 21)
    for threshold, sensitivity, specificity in zip(
        thresholds, *sensitivity_and_specificity(scores, positive, thresholds), strict=True
    ):
        assert sensitivity == np.mean([score >= threshold for score in scores[positive]])
        assert specificity == np.mean([score < threshold for score in scores[~positive]])


def test_the_literal_reading_is_always_the_threshold_zero():
    points = operating_points(SCORES, POSITIVE, np.linspace(0, 1, 500))
    assert points["literal"] == (0.0, 1.0, 0.0)


def test_the_useful_reading_is_the_highest_of_the_thresholds_and_the_exact_one_a_score():
    thresholds = np.linspace(0, 1, 500)
    points = operating_points(SCORES, POSITIVE, thresholds)
    assert points["useful"] == (thresholds[149], 1.0, pytest.approx(2 / 3))
    assert thresholds[149] <= 0.3 < thresholds[150]
    assert points["exact"] == (0.3, 1.0, pytest.approx(2 / 3))


def test_a_lower_sensitivity_is_reached_later():
    points = operating_points(SCORES, POSITIVE, np.linspace(0, 1, 101), wanted=0.5)
    assert points["exact"] == (0.6, pytest.approx(2 / 3), pytest.approx(2 / 3))


def test_no_threshold_reaches_it():
    assert operating_points(SCORES, POSITIVE, np.array([0.95]))["useful"] is None


@pytest.mark.parametrize("positive", [np.zeros(6, bool), np.ones(6, bool)])
def test_both_classes_are_needed(positive):
    with pytest.raises(ValueError, match="need both positives and negatives"):
        sensitivity_and_specificity(SCORES, positive, np.array([0.5]))
