from __future__ import annotations

import numpy as np
import pytest

from sslbench_plugins.simulators.momentum_dynamics.tables import SCORES, min_max_scaled, scores, winners

LAG = np.array([1.0, 2.0, 10.0])
VARIANCE = np.array([100.0, 1.0, 0.5])


def test_each_score_by_hand():
    results = scores(LAG, VARIANCE)
    assert list(results) == list(SCORES)
    lag, variance = [0, 1 / 9, 1], [1, 0.5 / 99.5, 0]
    assert results["scaled sum"][0] == pytest.approx([a + b for a, b in zip(lag, variance, strict=True)])
    assert results["scaled product"][0] == pytest.approx([a * b for a, b in zip(lag, variance, strict=True)])
    assert results["plain product"][0] == [100, 2, 5]
    x, y = np.log(2) / np.log(10), np.log(2) / np.log(200)
    # The line between the ends runs from (0, 1) to (1, 0).
    assert results["knee"][0] == pytest.approx([0, -abs(x + y - 1) / np.sqrt(2), 0])
    assert {name: winners(values) for name, (values, _) in results.items()} == {
        "scaled sum": [1],
        "scaled product": [0, 2],
        "plain product": [1],
        "knee": [1],
    }


def test_no_candidate_wins_what_is_undefined():
    assert winners([None, None]) == []
    assert winners([3.0, None, 3.0]) == [0, 2]


@pytest.mark.parametrize(
    ("first", "second", "undefined"),
    [
        ([1.0], [1.0], SCORES),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], ("scaled sum", "scaled product", "knee")),
        ([1.0, 2.0], [2.0, 1.0], ("knee",)),
        ([0.0, 1.0, 2.0], [3.0, 2.0, 1.0], ("knee",)),
        ([1.0, 10.0, 100.0], [100.0, 10.0, 1.0], ("knee",)),
    ],
)
def test_what_is_undefined_has_a_reason(first, second, undefined):
    results = scores(np.array(first), np.array(second))
    without = {name for name, (values, _) in results.items() if None in values}
    assert without == set(undefined)
    assert {name for name, (_, reason) in results.items() if reason} == without


def test_scaling():
    assert min_max_scaled(np.array([3.0, 5.0, 4.0])).tolist() == [0, 1, 0.5]
    assert min_max_scaled(np.array([2.0, 2.0])) is None


def test_costs_of_two_lengths_are_an_error():
    with pytest.raises(ValueError, match=r"costs of shapes \(2,\) and \(3,\)"):
        scores(np.ones(2), np.ones(3))
