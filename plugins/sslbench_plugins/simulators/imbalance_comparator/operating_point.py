"""Where a wanted sensitivity is reached, and at what specificity."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
WANTED = 0.9
"""sensitivity at the operating point"""
READINGS = {
    "literal": "literal reading: the first threshold from 0 upwards that reaches it",
    "useful": "useful reading: the highest of these thresholds that reaches it",
    "exact": "exact reading: the highest of all thresholds that reaches it",
}


class OperatingPoint(NamedTuple):
    """A threshold, and the shares of positives and of negatives that it gets right."""

    threshold: float
    sensitivity: float
    specificity: float


def sensitivity_and_specificity(scores: Floats, positive: Flags, thresholds: Floats) -> tuple[Floats, Floats]:
    """Share of positives at or above, and of negatives below, each threshold: ``[N]``, ``[N]``, ``[T]`` -> two ``[T]``.

    Raises ValueError where one class is missing.
    """
    if positive.all() or not positive.any():
        raise ValueError("sensitivity and specificity need both positives and negatives")
    # Sorted once, so that a table of many rows needs no [N, T] of comparisons.
    of_positives, of_negatives = np.sort(scores[positive]), np.sort(scores[~positive])
    below = np.searchsorted(of_positives, thresholds, side="left")
    sensitivity = (len(of_positives) - below) / len(of_positives)
    return sensitivity, np.searchsorted(of_negatives, thresholds, side="left") / len(of_negatives)


def operating_points(
    scores: Floats, positive: Flags, thresholds: Floats, wanted: float = WANTED
) -> dict[str, OperatingPoint | None]:
    """Where the sensitivity reaches ``wanted``, in the three ``READINGS``; None where no threshold reaches it.

    ``literal``: the first of the ascending ``thresholds`` that reaches it; ``useful``: the highest of them that does;
    ``exact``: the highest of all numbers that does, which is a score. Raises ValueError where one class is missing.
    """

    def point(candidates: Floats, last: bool) -> OperatingPoint | None:
        sensitivity, specificity = sensitivity_and_specificity(scores, positive, candidates)
        reached = np.flatnonzero(sensitivity >= wanted)
        if not len(reached):
            return None
        index = reached[-1 if last else 0]
        return OperatingPoint(float(candidates[index]), float(sensitivity[index]), float(specificity[index]))

    return {
        "literal": point(thresholds, last=False),
        "useful": point(thresholds, last=True),
        "exact": point(np.unique(scores), last=True),
    }
