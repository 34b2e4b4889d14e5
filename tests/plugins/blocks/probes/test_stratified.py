"""Random ranks within classes."""

from __future__ import annotations

import pytest
import torch

from sslbench_plugins.blocks.probes.stratified import class_counts, draw_ranks, random_rank_in_class, share_of_each


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
