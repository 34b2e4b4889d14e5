from __future__ import annotations

from itertools import pairwise

import pytest

from sslbench_plugins.blocks.probes.evenly_spaced import evenly_spaced


@pytest.mark.parametrize(("count", "most"), [(10, 3), (10, 10), (7, 100), (1000, 7), (1, 1), (5, 4)])
def test_indices_are_ascending_and_evenly_spaced(count, most):
    indices = evenly_spaced(count, most).tolist()
    assert len(indices) == min(count, most)
    assert indices[0] >= 0
    assert indices[-1] < count
    gaps = [b - a for a, b in pairwise(indices)]
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)


def test_all_are_taken_where_there_are_no_more():
    assert evenly_spaced(6, 9).tolist() == list(range(6))


def test_of_sorted_classes_each_gets_its_share():
    labels = [0] * 50 + [1] * 50 + [2] * 100
    taken = [labels[index] for index in evenly_spaced(200, 20).tolist()]
    assert [taken.count(label) for label in range(3)] == [5, 5, 10]


def test_nothing_of_nothing():
    assert evenly_spaced(0, 5).tolist() == []
