from __future__ import annotations

import pytest
from scipy import stats

from sslbench.statistics.intervals import Estimate


def test_an_estimate_has_mean_deviation_and_students_interval():
    values = (0.90, 0.93, 0.96, 0.91)
    estimate = Estimate.of(values)
    low, high = stats.t.interval(0.95, 3, estimate.mean, stats.sem(values))
    assert (estimate.mean, estimate.std, estimate.n) == (pytest.approx(0.925), pytest.approx(stats.tstd(values)), 4)
    assert (estimate.low, estimate.high) == pytest.approx((low, high))


def test_what_too_few_values_do_not_tell_is_none():
    assert Estimate.of([]) == Estimate(None, None, None, None, 0)
    assert Estimate.of([0.5]) == Estimate(0.5, None, None, None, 1)
