"""Where a wanted sensitivity is reached, and at what specificity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
WANTED = 0.9
"""sensitivity at the operating point"""
READINGS = {
    "literal": "literal reading: the first threshold from 0 upwards that reaches it",
    "useful": "useful reading: the highest of these thresholds that reaches it",
    "exact": "exact reading: the highest of all thresholds that reaches it",
}


def sensitivity_and_specificity(
    scores: Floats, positive: NDArray[np.bool_], thresholds: Floats
) -> tuple[Floats, Floats]:
    """Share of positives at or above, and of negatives below, each threshold: ``[N]``, ``[N]``, ``[T]`` -> two ``[T]``.

    Raises ValueError where one class is missing.
    """
    if positive.all() or not positive.any():
        raise ValueError("sensitivity and specificity need both positives and negatives")
    # Sorted once, so that a table of many rows needs no [N, T] of comparisons.
    ill, well = np.sort(scores[positive]), np.sort(scores[~positive])
    below = np.searchsorted(ill, thresholds, side="left")
    return (len(ill) - below) / len(ill), np.searchsorted(well, thresholds, side="left") / len(well)


def operating_points(
    scores: Floats, positive: NDArray[np.bool_], thresholds: Floats, wanted: float = WANTED
) -> dict[str, tuple[float, float, float] | None]:
    """(threshold, sensitivity, specificity) where the sensitivity reaches ``wanted``, in the three ``READINGS``.

    ``literal``: the first of the ascending ``thresholds`` that reaches it; ``useful``: the highest of them that does;
    ``exact``: the highest of all numbers that does, which is a score. None where no threshold does. Raises
    ValueError where one class is missing.
    """

    def point(among: Floats, last: bool) -> tuple[float, float, float] | None:
        sensitivity, specificity = sensitivity_and_specificity(scores, positive, among)
        reached = np.flatnonzero(sensitivity >= wanted)
        if not len(reached):
            return None
        at = reached[-1 if last else 0]
        return float(among[at]), float(sensitivity[at]), float(specificity[at])

    return {
        "literal": point(thresholds, last=False),
        "useful": point(thresholds, last=True),
        "exact": point(np.unique(scores), last=True),
    }
