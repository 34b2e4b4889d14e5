from __future__ import annotations

from sslbench.report.ties import not_told_apart, over_seeds


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


def test_a_difference_that_is_the_same_on_every_seed_is_no_tie():
    assert not_told_apart({0: 0.5, 1: 0.6}, [{0: 0.25, 1: 0.35}], margin=1.0) == [False]


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
