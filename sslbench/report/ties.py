"""What cannot be told apart from the best, given as many seeds as there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from sslbench.statistics.student import Difference, holm, paired_t

SIGNIFICANT = 0.05
Seeds = Mapping[int, float]
"""seed -> value"""


def over_seeds(first: Seeds, second: Seeds) -> Difference | None:
    """``first - second`` over the seeds that both have, with the paired t-test; None where they share none."""
    shared = sorted(first.keys() & second.keys())
    return paired_t([first[seed] - second[seed] for seed in shared]) if shared else None


def not_told_apart(best: Seeds, others: Sequence[Seeds], margin: float) -> list[bool]:
    """Whether each of the others is a tie with the best.

    Where they share two seeds or more: by the paired t-test, with Holm's correction for the number of them. Elsewhere:
    whether the means lie within ``margin``.
    """
    found = [over_seeds(best, other) for other in others]
    tested = {place: one.p for place, one in enumerate(found) if one and one.p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    ties = []
    for place, (one, other) in enumerate(zip(found, others, strict=True)):
        if one is None or one.n < 2:
            ties.append(abs(fmean(best.values()) - fmean(other.values())) <= margin)
        else:
            # Without a p the difference is the same on every seed.
            ties.append(corrected.get(place, 0.0) >= SIGNIFICANT)
    return ties
