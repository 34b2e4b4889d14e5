"""Logistic regression three ways: as is, with weighted classes, with positives drawn again."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import RandomState

from sslbench_plugins.simulators.imbalance_comparator.features_table import Labelled
from sslbench_plugins.simulators.imbalance_comparator.operating_point import Flags, Floats

SPLIT_SEED = 42
ITERATIONS = 1000
Oversampling = Literal["added", "redrawn"]


@dataclass(frozen=True)
class Fit:
    """One strategy's probabilities of the test rows, ``[M]``, and why they may be no good (empty: they are)."""

    probability: Floats
    reason: str


@dataclass(frozen=True)
class Fits:
    """All strategies on one split."""

    by_strategy: dict[str, Fit]
    positive: Flags
    """which of the test rows are, ``[M]``"""


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


def fit_strategies(data: Labelled, split_seed: int, oversampling: Oversampling) -> Fits:
    """Each strategy on the same stratified split, four to one."""
    from sklearn.model_selection import train_test_split

    x, x_test, y, y_test = train_test_split(
        data.features, data.positive, test_size=0.2, stratify=data.positive, random_state=split_seed
    )
    train = Labelled(x, y)
    fits = {
        "as is": fit(train, x_test),
        "balanced": fit(train, x_test, class_weight="balanced"),
        "oversampled": fit(oversampled(train, oversampling), x_test),
    }
    return Fits(fits, y_test)


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
