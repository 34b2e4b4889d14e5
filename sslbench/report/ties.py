"""What cannot be told apart from the best, given as many seeds as there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from sslbench.statistics.student import Difference, holm, paired_t

SIGNIFICANT = 0.05
"""p below which two recipes differ"""
Seeds = Mapping[int, float]
"""seed -> value"""


def over_seeds(first: Seeds, second: Seeds) -> Difference | None:
    """``first - second`` over the seeds that both have, with the paired t-test; None where they share none."""
    shared = sorted(first.keys() & second.keys())
    return paired_t([first[seed] - second[seed] for seed in shared]) if shared else None


def not_told_apart(best: Seeds, others: Sequence[Seeds], margin: float) -> list[bool]:
    """Whether each of the others is a tie with the best.

    Where they share two seeds or more, and the seed makes a difference: by the paired t-test, with Holm's correction
    for the number of them. Elsewhere: whether the means lie within ``margin``.
    """
    tested = {index: p for index, other in enumerate(others) if (p := p_over_seeds(best, other)) is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [
        corrected[index] >= SIGNIFICANT
        if index in corrected
        else abs(fmean(best.values()) - fmean(other.values())) <= margin
        for index, other in enumerate(others)
    ]


def p_over_seeds(first: Seeds, second: Seeds) -> float | None:
    """Of the paired t-test; None where seeds say nothing: fewer than two are shared, or all give the same values.

    Values that vary and differ by the same on every seed leave the t-test without a spread. Shares of a few hundred
    images do so by chance, so that the signs alone are believed (Fisher, The Design of Experiments, section 21).
    """
    difference = over_seeds(first, second)
    if difference is None or difference.n < 2 or seedless(first, second):
        return None
    return 2.0 ** (1 - difference.n) if difference.p is None else difference.p


def seedless(first: Seeds, second: Seeds) -> bool:
    """Whether two seeds and more change neither: models that somebody else trained, evaluated without randomness."""
    return all(len(values) > 1 and len(set(values.values())) == 1 for values in (first, second))
