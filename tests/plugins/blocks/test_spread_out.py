from __future__ import annotations

from itertools import pairwise

import pytest

from sslbench_plugins.blocks.probes.spread_out import spread_out


@pytest.mark.parametrize(("count", "most"), [(10, 3), (10, 10), (7, 100), (1000, 7), (1, 1), (5, 4)])
def test_places_are_ascending_and_evenly_spaced(count, most):
    places = spread_out(count, most).tolist()
    assert len(places) == min(count, most)
    assert places[0] >= 0
    assert places[-1] < count
    gaps = [b - a for a, b in pairwise(places)]
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)


def test_all_are_taken_where_there_are_no_more():
    assert spread_out(6, 9).tolist() == list(range(6))


def test_of_sorted_classes_each_gets_its_share():
    labels = [0] * 50 + [1] * 50 + [2] * 100
    taken = [labels[place] for place in spread_out(200, 20).tolist()]
    assert [taken.count(label) for label in range(3)] == [5, 5, 10]


def test_nothing_of_nothing():
    assert spread_out(0, 5).tolist() == []
