from __future__ import annotations

import pytest

from sslbench import Claim, across_seeds, check_claim


def checked(outcomes, measured=""):
    return check_claim("it is so", "a paper", "what is tested", outcomes, measured)


@pytest.mark.parametrize(
    ("outcomes", "verdict", "shares"),
    [
        ({1: True, 2: True}, "holds", "true on 2 of 2 seeds"),
        ({1: False, 2: False}, "fails", "true on 0 of 2 seeds"),
        ({1: True, 2: False, 3: True}, "undecided", "true on 2 of 3 seeds"),
        ({1: True, 2: None}, "undecided", "true on 1 of 2 seeds, unknown on 1"),
        ({1: False, 2: None}, "undecided", "true on 0 of 2 seeds, unknown on 1"),
        ({1: None}, "undecided", "true on 0 of 1 seeds, unknown on 1"),
    ],
)
def test_a_verdict_needs_every_seed(outcomes, verdict, shares):
    claim = checked(outcomes)
    assert claim == Claim("it is so", "a paper", "what is tested", shares, verdict, tuple(outcomes))


def test_the_shares_follow_what_was_measured():
    assert checked({0: True}, "0.9").measured == "0.9; true on 1 of 1 seeds"


def test_numpy_truth_is_truth():
    import numpy as np

    assert checked({0: np.bool_(True)}).verdict == "holds"
    assert checked({0: np.bool_(False)}).verdict == "fails"


def test_without_a_seed_there_is_no_verdict():
    with pytest.raises(ValueError, match="no seed to check the claim on: 'it is so'"):
        checked({})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 2.0, 6.0], "3 (1 to 6)"),
        ([0.5, 0.5], "0.5"),
        ([0.12345, None], "0.123, undefined on 1 seeds"),
        ([None, None], "undefined"),
        ([], "undefined"),
    ],
)
def test_values_across_seeds(values, text):
    assert across_seeds(values) == text
