"""Features with two labels, a user's or generated; logistic regression three ways, as is, with weighted classes, with
positives drawn again; and both tables: each strategy at the threshold 0.5, and where it reaches a sensitivity."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench import UserError
from sslbench_plugins.blocks.studies.results import Row
from sslbench_plugins.blocks.studies.user_data import read_columns

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Oversampling = Literal["added", "redrawn"]
LARGEST, FEWEST = 1e100, 5
"""size of a feature, whose square must not overflow; rows of a label, so that both parts of a split have one"""
SPLIT_SEED, ITERATIONS = 42, 1000
WANTED = 0.9
"""sensitivity at the operating point"""
READINGS = {
    "literal": "literal reading: the first threshold from 0 upwards that reaches it",
    "useful": "useful reading: the highest of these thresholds that reaches it",
    "exact": "exact reading: the highest of all thresholds that reaches it",
}


@dataclass(frozen=True)
class Labelled:
    """Features ``[N, D]`` and whether each row is positive, bool ``[N]``."""

    features: Floats
    positive: Flags


def generated(seed: int) -> Labelled:
    """970 negatives normal(0, 1) in 10 dimensions, then 30 positives normal(1, 1.5)."""
    rng = RandomState(seed)
    features = np.concatenate([rng.normal(0, 1, (970, 10)), rng.normal(1, 1.5, (30, 10))])
    return Labelled(features, np.arange(1000) >= 970)


def read_labelled(path: str, label: str, positive: str) -> Labelled:
    """A user's table. Raises UserError for anything but numbers, two labels and enough of both. ``positive`` is the
    label that is positive; empty: the rarer one."""
    columns = read_columns(path, "features", (label,))
    labels = [str(value) for value in columns.pop(label)]
    rarer = check_labels(labels, path, label, positive)
    for name, cells in columns.items():
        if not all(isinstance(cell, (int, float)) and np.isfinite(cell) for cell in cells):
            raise UserError(f"features = {path!r}: column {name!r} has values that are no finite numbers")
        if max(map(abs, cells)) > LARGEST:
            raise UserError(f"features = {path!r}: column {name!r} has values beyond {LARGEST:g} in size")
    if not columns:
        raise UserError(f"features = {path!r}: there is no column of features beside {label!r}")
    matrix = np.array(list(columns.values()), dtype=np.float64).T
    return Labelled(matrix, np.array([value == (positive or rarer) for value in labels]))


def check_labels(labels: list[str], path: str, column: str, positive: str) -> str:
    """The rarer of two labels. Raises UserError where there are not two, with enough rows each."""
    counts = Counter(labels)
    values = sorted(counts, key=lambda value: (counts[value], value))
    if len(values) != 2:
        shown = ", ".join(values[:5])
        raise UserError(f"features = {path!r}: column {column!r} has {len(values)} labels ({shown}); expected two")
    if positive and positive not in values:
        raise UserError(f"positive = {positive!r}: column {column!r} has the labels {', '.join(values)}")
    if (fewest := counts[values[0]]) < FEWEST:
        raise UserError(f"features = {path!r}: label {values[0]!r} has {fewest} rows; at least {FEWEST} are needed")
    return values[0]


@dataclass(frozen=True)
class Fit:
    """One strategy's probabilities of the test rows, ``[M]``, and why they may be no good (empty: they are)."""

    probability: Floats
    reason: str


class OperatingPoint(NamedTuple):
    """A threshold, and the shares of positives and of negatives that it gets right."""

    threshold: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class Measured:
    """Both tables of one seed, and the probabilities behind them."""

    fits: dict[str, Fit]
    """by strategy"""
    positive: Flags
    """which of the test rows are, ``[M]``"""
    strategies: dict[str, Row]
    """at the threshold 0.5"""
    points: dict[tuple[str, str], Row]
    """(strategy, reading) -> where it reaches the wanted sensitivity"""

    @property
    def spread_of_areas(self) -> float:
        """Highest minus lowest area under the curve."""
        areas = [row["area_under_curve"] for row in self.strategies.values()]
        return float(max(areas) - min(areas))


def measure(data: Labelled, split_seed: int, oversampling: Oversampling, thresholds: int) -> Measured:
    """Each strategy on the same stratified split, four to one; operating points on as many thresholds from 0 to 1."""
    from sklearn.model_selection import train_test_split

    x, x_test, y, positive = train_test_split(
        data.features, data.positive, test_size=0.2, stratify=data.positive, random_state=split_seed
    )
    train = Labelled(x, y)
    fits = {
        "as is": fit(train, x_test),
        "balanced": fit(train, x_test, class_weight="balanced"),
        "oversampled": fit(oversampled(train, oversampling), x_test),
    }
    strategies = {name: strategy_row(name, item, positive) for name, item in fits.items()}
    points = {}
    for name, item in fits.items():
        for reading, point in operating_points(item.probability, positive, np.linspace(0, 1, thresholds)).items():
            if point is not None:
                points[name, reading] = {"strategy": name, "reading": reading, **point._asdict()}
    return Measured(fits, positive, strategies, points)


def oversampled(data: Labelled, how: Oversampling) -> Labelled:
    """As many positives as negatives, drawn with replacement: to those that there are (``added``), or in their place
    (``redrawn``). Where positives are no fewer, the rows as they are."""
    positives, negatives = np.flatnonzero(data.positive), np.flatnonzero(~data.positive)
    if len(positives) >= len(negatives):
        return data
    kept = np.arange(len(data.positive)) if how == "added" else negatives
    lacking = len(negatives) - (len(kept) - len(negatives))
    drawn = RandomState(SPLIT_SEED).choice(positives, lacking, replace=True)
    rows = np.concatenate([kept, drawn])
    return Labelled(data.features[rows], data.positive[rows])


def fit(train: Labelled, x_test: Floats, **options: Any) -> Fit:
    """Logistic regression; that it did not converge is a reason, not a warning on the screen."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings(record=True) as caught:
        for category in (ConvergenceWarning, RuntimeWarning):
            warnings.simplefilter("always", category)
        model = LogisticRegression(max_iter=ITERATIONS, **options).fit(train.features, train.positive)
    failed = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    reason = f"no convergence in {ITERATIONS:,} iterations: bring the features to one scale" if failed else ""
    return Fit(model.predict_proba(x_test)[:, 1], reason)


def strategy_row(name: str, fit: Fit, positive: Flags) -> Row:
    """One strategy at the threshold 0.5."""
    from sklearn.metrics import f1_score, roc_auc_score

    sensitivity, specificity = sensitivity_and_specificity(fit.probability, positive, np.array([0.5]))
    return {
        "strategy": name,
        "sensitivity": float(sensitivity[0]),
        "specificity": float(specificity[0]),
        "area_under_curve": float(roc_auc_score(positive, fit.probability)),
        "f1": float(f1_score(positive, fit.probability >= 0.5, zero_division=0.0)),
        "reason": fit.reason,
    }


def sensitivity_and_specificity(scores: Floats, positive: Flags, thresholds: Floats) -> tuple[Floats, Floats]:
    """Share of positives at or above, and of negatives below, each threshold: ``[N]``, ``[N]``, ``[T]`` -> two ``[T]``.
    Raises ValueError where one class is missing."""
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
    ``exact``: the highest of all numbers that does, which is a score. Raises ValueError where one class is missing."""

    def point(candidates: Floats, last: bool) -> OperatingPoint | None:
        sensitivity, specificity = sensitivity_and_specificity(scores, positive, candidates)
        reached = np.flatnonzero(sensitivity >= wanted)
        if not len(reached):
            return None
        return OperatingPoint(*(float(v[reached[-1 if last else 0]]) for v in (candidates, sensitivity, specificity)))

    return {
        "literal": point(thresholds, last=False),
        "useful": point(thresholds, last=True),
        "exact": point(np.unique(scores), last=True),
    }
