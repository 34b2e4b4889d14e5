"""Random ranks within classes, numbers and shares of labels, evenly spaced images."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from pydantic import ValidationError

from sslbench_plugins.blocks.probes.samples import (
    LabelAmountParams,
    class_counts,
    draw_ranks,
    evenly_spaced,
    random_rank_in_class,
    share_of_each,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_ranks_of_a_class_are_a_permutation() -> None:
    labels = torch.tensor([2, 0, 0, 2, 5, 2, 0, 0, 2])
    ranks = random_rank_in_class(labels, 7, generator())
    for label in (0, 2, 5):
        of_class = ranks[labels == label]
        assert sorted(of_class.tolist()) == list(range(len(of_class)))


def test_every_order_is_equally_likely() -> None:
    source = generator()
    orders = [
        tuple(random_rank_in_class(torch.tensor([1, 0, 1, 1]), 2, source)[[0, 2, 3]].tolist()) for _ in range(1200)
    ]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert min(counts) > 200 - 5 * 13 and max(counts) < 200 + 5 * 13  # noqa: PT018 - five standard deviations


def test_the_generator_decides() -> None:
    labels = torch.arange(3).repeat(40)
    assert torch.equal(random_rank_in_class(labels, 3, generator()), random_rank_in_class(labels, 3, generator()))
    assert not torch.equal(random_rank_in_class(labels, 3, generator()), random_rank_in_class(labels, 3, generator(1)))


def test_counts_include_classes_without_samples() -> None:
    assert class_counts(torch.tensor([1, 3, 3, 1, 1]), 5).tolist() == [0, 3, 0, 2, 0]


def test_first_draws_are_the_same_however_many_there_are_and_the_device_does_not_matter():
    labels = torch.arange(4).repeat(6)
    many = draw_ranks(labels, 4, 5, seed=3)
    assert torch.equal(many[:2], draw_ranks(labels, 4, 2, seed=3))
    assert many.shape == (5, 24)


@pytest.mark.parametrize(
    ("share", "expected"), [(1.0, [100, 10, 1, 0]), (0.1, [10, 1, 1, 0]), (0.25, [25, 2, 1, 0]), (0.001, [1, 1, 1, 0])]
)
def test_a_share_is_rounded_and_at_least_one_of_a_class_that_has_any(share, expected):
    assert share_of_each(torch.tensor([100, 10, 1, 0]), share).tolist() == expected


LABELS = torch.arange(3).repeat_interleave(torch.tensor([40, 7, 100]))


@pytest.mark.parametrize(("share", "text"), [(1.0, "100%"), (0.01, "1%"), (0.125, "12.5%"), (0.001, "0.1%")])
def test_shares_are_named_in_percent(share: float, text: str) -> None:
    assert LabelAmountParams(shares=share).amount_names() == [text]


def test_numbers_come_before_shares() -> None:
    params = LabelAmountParams(labels=(2, 8), shares=0.5)
    amounts = params.amounts(LABELS, 3)
    assert [amount.name for amount in amounts] == params.amount_names() == ["2", "8", "50%"]
    assert [amount.per_class.tolist() for amount in amounts] == [[2, 2, 2], [8, 8, 8], [20, 4, 50]]
    assert [amount.share for amount in amounts] == [None, None, 0.5]


def test_the_class_with_too_few_labels_is_named() -> None:
    enough, lacking = LabelAmountParams(labels=(7, 8)).amounts(LABELS, 3)
    assert enough.reason == ""
    assert lacking.reason == "class 1 has only 7 of 8 labels"


def test_a_draw_takes_the_lowest_ranks_of_each_class() -> None:
    labels = torch.tensor([0, 0, 1, 1, 1, 1])
    (amount,) = LabelAmountParams(shares=0.5).amounts(labels, 2)
    drawn = amount.drawn(torch.tensor([[0, 1, 3, 2, 1, 0], [1, 0, 0, 1, 2, 3]]), labels)
    assert drawn.tolist() == [[True, False, False, False, True, True], [False, True, True, True, False, False]]


def test_no_amount_at_all_is_refused() -> None:
    with pytest.raises(ValidationError, match="name at least one number of labels, or one share of them"):
        LabelAmountParams()


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
