from __future__ import annotations

import numpy as np
import pytest

from sslbench_plugins.blocks.studies.results import SeedResults, best_keys, row_of_pictures

SEEDS = SeedResults("a paper", {1: 0.5, 2: 0.7, 3: None})


def test_a_claim_rests_on_every_seed():
    claim = SEEDS.claim("it is so", "above 0.4", lambda value: None if value is None else value > 0.4, "a mean of 0.6")
    assert (claim.source, claim.expected, claim.seeds) == ("a paper", "above 0.4", (1, 2, 3))
    assert claim.verdict == "undecided"
    assert claim.measured.startswith("a mean of 0.6; true on 2 of 3 seeds")
    assert SEEDS.claim("it is so", "any", lambda value: True, "").verdict == "holds"


def test_the_spread_is_over_the_seeds():
    assert SEEDS.spread(lambda value: value) == "0.6 (0.5 to 0.7), undefined on 1 seeds"
    assert SEEDS.spread(lambda value: value and value / 3, 2) == "0.2 (0.17 to 0.23), undefined on 1 seeds"


@pytest.mark.parametrize(
    ("values", "lowest", "highest"),
    [
        ({"a": 1.0, "b": None, "c": 1.0 + 1e-13, "d": 2.0}, ["a", "c"], ["d"]),
        ({"a": None}, [], []),
        ({}, [], []),
    ],
)
def test_the_best_are_named_with_their_ties(values, lowest, highest):
    assert best_keys(values, min) == lowest
    assert best_keys(values, max) == highest


def test_pictures_lie_side_by_side_with_their_names():
    figure = row_of_pictures({"a": np.zeros((4, 5)), "b": np.ones((4, 5))}, (2.0, 3.0), cmap="gray")
    assert figure.get_size_inches().tolist() == [4.0, 3.0]
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert (figure.axes[1].images[0].get_array() == 1).all()
