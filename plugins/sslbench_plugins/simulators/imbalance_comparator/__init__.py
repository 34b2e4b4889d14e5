"""What to do with three per cent of positives: nothing, weigh the classes, or draw positives again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench import (
    Claim,
    SimulationResult,
    SimulatorParams,
    SimulatorSpec,
    across_seeds,
    check_claim,
    hookimpl,
    param,
)
from sslbench_plugins.simulators.imbalance_comparator.labelled_table import Labelled, read_labelled
from sslbench_plugins.simulators.imbalance_comparator.operating_point import (
    READINGS,
    WANTED,
    operating_points,
    sensitivity_and_specificity,
)

Floats = NDArray[np.float64]
SOURCE = "tutorial on self-supervised learning, exercise on class imbalance"
STRATEGIES = ("as is", "balanced", "oversampled")
HIGH, POOR, SIMILAR = 0.95, 0.5, 0.02
"""specificity that is called high, sensitivity that is called poor, AUCs that are called similar"""
SPLIT_SEED = 42
ITERATIONS = 1000


class ImbalanceParams(SimulatorParams):
    features: str = param("", "CSV or parquet with numeric columns and a column of labels of yours", unit="path")
    label: str = param("label", "the column of labels in that file")
    positive: str = param("", "the label that is positive; empty: the rarer one")
    thresholds: int = param(500, "thresholds from 0 to 1 that the operating point is looked for on", ge=2, le=100_000)
    oversampling: str = param(
        "added",
        "added: the positives that there are, and drawn ones up to parity; redrawn: as many as negatives, all drawn",
        pattern="^(added|redrawn)$",
    )


def generated(seed: int) -> Labelled:
    """970 negatives normal(0, 1) in 10 dimensions, then 30 positives normal(1, 1.5)."""
    rng = RandomState(seed)
    features = np.concatenate([rng.normal(0, 1, (970, 10)), rng.normal(1, 1.5, (30, 10))])
    return Labelled(features, np.arange(1000) >= 970)


def oversampled(data: Labelled, how: str) -> Labelled:
    """As many positives as negatives, drawn with replacement: to those that there are (``added``), or in their place
    (``redrawn``). Where positives are no fewer, the rows as they are."""
    positives, negatives = np.flatnonzero(data.positive), np.flatnonzero(~data.positive)
    kept = np.arange(len(data.positive)) if how == "added" else negatives
    lacking = len(negatives) - (len(kept) - len(negatives))
    if len(positives) >= len(negatives):
        return data
    drawn = RandomState(SPLIT_SEED).choice(positives, lacking, replace=True)
    rows = np.concatenate([kept, drawn])
    return Labelled(data.features[rows], data.positive[rows])


@dataclass(frozen=True)
class Scored:
    """One strategy's probabilities of the test rows, ``[M]``, and why they may be no good (empty: they are)."""

    probability: Floats
    reason: str


def scored(data: Labelled, split_seed: int, oversampling: str) -> tuple[dict[str, Scored], NDArray[np.bool_]]:
    """Each strategy on the same split, and which of the test rows are positive."""
    from sklearn.model_selection import train_test_split

    x, x_test, y, y_test = train_test_split(
        data.features, data.positive, test_size=0.2, stratify=data.positive, random_state=split_seed
    )
    train = Labelled(x, y)
    return {
        "as is": fitted(train, x_test),
        "balanced": fitted(train, x_test, class_weight="balanced"),
        "oversampled": fitted(oversampled(train, oversampling), x_test),
    }, y_test


def fitted(train: Labelled, x_test: Floats, **options: Any) -> Scored:
    """Logistic regression; that it did not converge is a reason, not a warning on the screen."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings(record=True) as caught:
        for category in (ConvergenceWarning, RuntimeWarning):
            warnings.simplefilter("always", category)
        model = LogisticRegression(max_iter=ITERATIONS, **options).fit(train.features, train.positive)
    lost = any(issubclass(one.category, ConvergenceWarning) for one in caught)
    reason = f"no convergence in {ITERATIONS:,} iterations: bring the features to one scale" if lost else ""
    return Scored(model.predict_proba(x_test)[:, 1], reason)


class ImbalanceComparator:
    def __init__(self, params: ImbalanceParams) -> None:
        self.params = params
        self.own = read_labelled(params.features, params.label, params.positive) if params.features else None

    def run(self, seed: int) -> SimulationResult:
        measured = {one: self.measured(one) for one in range(seed, seed + self.params.claim_seeds)}
        strategies, points, scores, positive = measured[seed]
        best = max(points, key=lambda row: (row["reading"] == "exact", row["specificity"]))
        spread = max(row["area_under_curve"] for row in strategies) - min(row["area_under_curve"] for row in strategies)
        return SimulationResult(
            {"strategies": strategies, "operating_points": points},
            claims(measured),
            {"operating_points": lambda: draw(scores, positive, self.params.thresholds)},
            f"Choose the threshold on held-out data before reaching for resampling: the three AUCs are within"
            f" {spread:.3f} of each other, and at {WANTED:.0%} sensitivity {best['strategy']!r} has the best"
            f" specificity, {best['specificity']:.2f}, with its threshold at {best['threshold']:.3f}.",
        )

    def measured(self, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Scored], Any]:
        """Rows of both tables, and the probabilities behind them. A user's table has the seed in its split only."""
        from sklearn.metrics import f1_score, roc_auc_score

        data, split_seed = (generated(seed), SPLIT_SEED) if self.own is None else (self.own, seed)
        scores, positive = scored(data, split_seed, self.params.oversampling)
        strategies, points = [], []
        for name, one in scores.items():
            probability = one.probability
            at_half = sensitivity_and_specificity(probability, positive, np.array([0.5]))
            strategies.append(
                {
                    "strategy": name,
                    "sensitivity": float(at_half[0][0]),
                    "specificity": float(at_half[1][0]),
                    "area_under_curve": float(roc_auc_score(positive, probability)),
                    "f1": float(f1_score(positive, probability >= 0.5, zero_division=0.0)),
                    "reason": one.reason,
                }
            )
            found = operating_points(probability, positive, np.linspace(0, 1, self.params.thresholds))
            for reading, point in found.items():
                assert point is not None  # the threshold 0 reaches every sensitivity
                keys = ("threshold", "sensitivity", "specificity")
                points.append({"strategy": name, "reading": reading, **dict(zip(keys, point, strict=True))})
        return strategies, points, scores, positive


@dataclass(frozen=True)
class Seen:
    """What all seeds measured: seed -> strategy -> its row."""

    rows: dict[int, dict[str, dict[str, Any]]]

    def told(self, test: Callable[[dict[str, Any]], bool]) -> dict[int, bool | None]:
        return {seed: test(one) for seed, one in self.rows.items()}

    def figures(self, strategy: str, key: str) -> str:
        return across_seeds([one[strategy][key] for one in self.rows.values()])


def claims(measured: dict[int, Any]) -> list[Claim]:
    seen = Seen({seed: by_name(one) for seed, one in measured.items()})
    return [
        *default_claims(seen),
        raising(seen, "weighing the classes", "balanced"),
        raising(seen, "oversampling", "oversampled"),
        alike(seen),
        *(reaching(measured, reading) for reading in READINGS),
    ]


def default_claims(seen: Seen) -> list[Claim]:
    default = "the default has high specificity and poor sensitivity"
    figures = f"specificity {seen.figures('as is', 'specificity')}, sensitivity {seen.figures('as is', 'sensitivity')}"

    def far_apart(row: dict[str, Any]) -> bool:
        return row["specificity"] >= HIGH and row["sensitivity"] < row["specificity"] - 0.1

    return [
        check_claim(
            f"{default} (each in itself)",
            SOURCE,
            f"specificity of at least {HIGH} and sensitivity below {POOR} at the threshold 0.5",
            seen.told(lambda one: one["as is"]["specificity"] >= HIGH and one["as is"]["sensitivity"] < POOR),
            figures,
        ),
        check_claim(
            f"{default} (against each other)",
            SOURCE,
            f"specificity of at least {HIGH} and a sensitivity more than 0.1 below it",
            seen.told(lambda one: far_apart(one["as is"])),
            figures,
        ),
    ]


def raising(seen: Seen, words: str, strategy: str) -> Claim:
    def rises_at_a_cost(one: dict[str, Any]) -> bool:
        before, after = one["as is"], one[strategy]
        return after["sensitivity"] > before["sensitivity"] and after["specificity"] < before["specificity"]

    keys = ("sensitivity", "specificity")
    return check_claim(
        f"{words} raises sensitivity at the cost of specificity",
        SOURCE,
        "at the threshold 0.5 the sensitivity is higher and the specificity lower than the default's",
        seen.told(rises_at_a_cost),
        "; ".join(f"{key} {seen.figures('as is', key)} -> {seen.figures(strategy, key)}" for key in keys),
    )


def alike(seen: Seen) -> Claim:
    def spread(one: dict[str, Any]) -> float:
        values = [one[name]["area_under_curve"] for name in STRATEGIES]
        return max(values) - min(values)

    return check_claim(
        "the AUC is similar across the three",
        SOURCE,
        f"highest minus lowest of at most {SIMILAR}",
        seen.told(lambda one: spread(one) <= SIMILAR),
        f"highest minus lowest {across_seeds([spread(one) for one in seen.rows.values()])}",
    )


def reaching(measured: dict[int, Any], reading: str) -> Claim:
    points = {s: [row for row in one[1] if row["reading"] == reading] for s, one in measured.items()}

    def different(rows: list[dict[str, Any]]) -> bool:
        distinct = all(len({row[key] for row in rows}) == len(rows) for key in ("threshold", "specificity"))
        return distinct and all(row["sensitivity"] >= WANTED for row in rows)

    seen = [
        f"{name} threshold {across_seeds([rows[place]['threshold'] for rows in points.values()])}"
        f" and specificity {across_seeds([rows[place]['specificity'] for rows in points.values()])}"
        for place, name in enumerate(STRATEGIES)
    ]
    return check_claim(
        f"all three reach 90% sensitivity, with different thresholds and different specificities ({READINGS[reading]})",
        SOURCE,
        "sensitivity of at least 0.9, three thresholds that differ and three specificities that differ",
        {seed: different(rows) for seed, rows in points.items()},
        "; ".join(seen),
    )


def by_name(one: Any) -> dict[str, Any]:
    return {row["strategy"]: row for row in one[0]}


def draw(scores: dict[str, Scored], positive: NDArray[np.bool_], count: int) -> Any:
    from matplotlib.figure import Figure

    thresholds = np.linspace(0, 1, count)
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axes, (name, one) in zip(figure.subplots(1, 3, sharey=True), scores.items(), strict=True):
        sensitivity, specificity = sensitivity_and_specificity(one.probability, positive, thresholds)
        axes.plot(thresholds, sensitivity, label="sensitivity", color="#cc6677")
        axes.plot(thresholds, specificity, label="specificity", color="#4477aa")
        axes.axhline(WANTED, color="grey", linewidth=0.8, linestyle=":", label=f"{WANTED:.0%}")
        useful = operating_points(one.probability, positive, thresholds)["useful"]
        if useful:
            axes.axvline(useful[0], color="black", linewidth=0.8, linestyle="--", label="highest that reaches it")
        axes.set(title=name, xlabel="threshold")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [
        SimulatorSpec(
            name="imbalance-comparator",
            summary=__doc__.partition("\n")[0],
            params=ImbalanceParams,
            build=lambda params, context: ImbalanceComparator(params),
            citation=SOURCE,
        )
    ]
