from __future__ import annotations

import pytest

from sslbench_plugins.blocks.images_on_disk.class_folders import held_out

NAMES = [f"{number}.png" for number in range(20)]


def test_a_share_of_each_class_is_held_out():
    labels = [0] * 15 + [1] * 5
    train, test = held_out(NAMES, labels, 0.2)
    assert sorted(train + test) == list(range(20))
    assert (train, test) == (sorted(train), sorted(test))
    assert [labels[index] for index in test].count(0) == 3
    assert [labels[index] for index in test].count(1) == 1


def test_names_decide_and_not_their_order():
    _, test = held_out(NAMES, [0] * 20, 0.25)
    _, reverse = held_out(NAMES[::-1], [0] * 20, 0.25)
    assert {NAMES[index] for index in test} == {NAMES[::-1][index] for index in reverse}


@pytest.mark.parametrize(("count", "share", "expected"), [(1, 0.5, 0), (2, 0.01, 1), (2, 0.99, 1), (9, 0.0, 0)])
def test_both_sides_keep_one_where_there_are_two(count, share, expected):
    _, test = held_out(NAMES[:count], [0] * count, share)
    assert len(test) == expected
