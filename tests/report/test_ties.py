from __future__ import annotations

import pytest

from sslbench.report.ranking import not_told_apart, over_seeds, p_over_seeds


def test_methods_are_compared_over_the_seeds_that_both_have():
    found = over_seeds({0: 0.9, 1: 0.8, 5: 0.1}, {1: 0.7, 0: 0.6, 7: 0.0})
    assert (round(found.mean, 6), found.n) == (0.2, 2)
    assert over_seeds({0: 0.9}, {1: 0.9}) is None


def test_a_tie_is_what_the_paired_test_does_not_tell_apart():
    best = dict(enumerate((0.90, 0.95, 0.92, 0.97)))
    shifted = {seed: value - 0.01 - 0.0001 * seed for seed, value in best.items()}
    noisy = {seed: value - (0.2, -0.1, 0.0, 0.1)[seed] for seed, value in best.items()}
    # The spread over seeds is larger than the shift; seed by seed the shift is sure.
    assert not_told_apart(best, [shifted, noisy, dict(best)], margin=1.0) == [False, True, True]


def test_of_a_difference_that_is_the_same_on_every_seed_the_signs_are_believed():
    """Two equal classifiers differ by the same number of images on both seeds once in twenty times."""

    def shifted(seeds):
        best = {seed: 0.9 + 0.01 * seed for seed in range(seeds)}
        return best, {seed: value - 0.25 for seed, value in best.items()}

    assert [p_over_seeds(*shifted(seeds)) for seeds in (2, 3, 6)] == [0.5, 0.25, 0.03125]
    assert [not_told_apart(one, [other], margin=0.0) for one, other in map(shifted, (5, 6))] == [[True], [False]]


def test_what_does_not_depend_on_the_seed_is_not_tested_over_seeds():
    best, other = dict.fromkeys(range(3), 0.5), dict.fromkeys(range(3), 0.4)
    assert p_over_seeds(best, other) is None
    assert not_told_apart(best, [other], margin=0.0) == [False]
    varied = {0: 0.38, 1: 0.41, 2: 0.40}
    assert p_over_seeds(best, varied) == pytest.approx(0.008, abs=0.002)


def test_many_rivals_need_more_evidence():
    best = dict(enumerate((0.90, 0.91, 0.92, 0.93)))
    close = {0: 0.86, 1: 0.89, 2: 0.88, 3: 0.92}  # p = 0.035
    far = [{seed: value - 0.5 + 0.001 * seed for seed, value in best.items()}]
    weak = [{seed: value - (0.1, -0.1, 0.2, -0.2)[seed] for seed, value in best.items()}]
    assert not_told_apart(best, [close], margin=0.0) == [False]
    assert not_told_apart(best, [close, *far], margin=0.0) == [False, False], "what is sure costs the others nothing"
    assert not_told_apart(best, [close, *weak], margin=0.0) == [True, True]


def test_without_two_seeds_in_common_the_spread_decides():
    assert not_told_apart({0: 0.9}, [{0: 0.88}, {0: 0.80}, {1: 0.88}], margin=0.05) == [True, False, True]
