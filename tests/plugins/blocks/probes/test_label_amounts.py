"""Numbers and shares of labels, and where there are too few."""

from __future__ import annotations

import pytest
import torch

from sslbench_plugins.blocks.probes.label_amounts import amount_names, label_amounts, percent, require_amount

AVAILABLE = torch.tensor([40, 7, 100])


@pytest.mark.parametrize(("share", "text"), [(1.0, "100%"), (0.01, "1%"), (0.125, "12.5%"), (0.001, "0.1%")])
def test_shares_are_named_in_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_numbers_come_before_shares() -> None:
    amounts = label_amounts((2, 8), (0.5,), AVAILABLE)
    assert [amount.name for amount in amounts] == amount_names((2, 8), (0.5,)) == ["2", "8", "50%"]
    assert [amount.per_class.tolist() for amount in amounts] == [[2, 2, 2], [8, 8, 8], [20, 4, 50]]
    assert [amount.share for amount in amounts] == [None, None, 0.5]


def test_the_class_with_too_few_labels_is_named() -> None:
    enough, lacking = label_amounts((7, 8), (), AVAILABLE)
    assert enough.reason == ""
    assert lacking.reason == "class 1 has only 7 of 8 labels"


def test_a_draw_takes_the_lowest_ranks_of_each_class() -> None:
    (amount,) = label_amounts((), (0.5,), torch.tensor([2, 4]))
    ranks = torch.tensor([[0, 1, 3, 2, 1, 0], [1, 0, 0, 1, 2, 3]])
    drawn = amount.drawn(ranks, torch.tensor([0, 0, 1, 1, 1, 1]))
    assert drawn.tolist() == [[True, False, False, False, True, True], [False, True, True, True, False, False]]


def test_no_amount_at_all_is_refused() -> None:
    require_amount((), (0.1,))
    with pytest.raises(ValueError, match="name at least one number of labels, or one share of them"):
        require_amount((), ())
