"""What became of each recipe while it trained, where a curve was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sslbench.report.text import Column
from sslbench.report.numbers import NOTHING, decimals, fixed
from sslbench.report.rows import Row
from sslbench.report.sections.render import Section
from sslbench.report.view import NAMES, Style, View

LABEL_FREE = ("label-free",)
"""evaluators whose metrics describe features and do not say what they are good for"""
NONE = "no curve: none of these trainings was judged while it went on; run with --set curve_every=1"


@dataclass(frozen=True)
class Point:
    """One epoch of a recipe, mean over its seeds."""

    row: int
    epoch: int
    epochs: int
    """of the whole training"""
    seeds: int
    loss: float
    metrics: Mapping[str, float]
    """those that every seed measured"""


def curves_of(row: Row) -> dict[int, list[dict[str, Any]]]:
    """Seed -> points, of the seeds that have a curve. The records of one pretraining repeat it."""
    found: dict[int, list[dict[str, Any]]] = {}
    for record in row.records:
        points = (record.get("pretraining") or {}).get("curve")
        if points:
            found.setdefault(record["seed"], points)
    return found


def mean_points(place: int, row: Row) -> list[Point]:
    """The epochs that all curves of a recipe have, in order."""
    curves = [{point["epoch"]: point for point in points} for points in curves_of(row).values()]
    if not curves:
        return []
    epochs = sorted(set.intersection(*(set(curve) for curve in curves)))
    points = []
    for epoch in epochs:
        same = [curve[epoch] for curve in curves]
        values = [
            {name: facts["value"] for name, facts in point["metrics"].items() if facts.get("value") is not None}
            for point in same
        ]
        metrics = {name: fmean(one[name] for one in values) for name in values[0] if all(name in one for one in values)}
        loss = fmean(point["loss"] for point in same)
        points.append(Point(place, epoch, epochs[-1], len(same), loss, metrics))
    return points


def kinds_of(rows: Sequence[Row]) -> dict[str, Mapping[str, Any]]:
    """Metric -> unit, direction and evaluator, of every metric of a curve, those that need labels first."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        for points in curves_of(row).values():
            for point in points:
                for name, facts in point["metrics"].items():
                    found.setdefault(name, facts)
    return dict(sorted(found.items(), key=lambda item: item[1].get("evaluator") in LABEL_FREE))


def best_epochs(points: Sequence[Point], kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Metric -> the epoch at which its mean over seeds was best; of equals the first."""
    best = {}
    for name, facts in kinds.items():
        known = [point for point in points if name in point.metrics]
        if known and facts["higher_is_better"] is not None:
            sign = 1 if facts["higher_is_better"] else -1
            best[name] = max(known, key=lambda point: sign * point.metrics[name]).epoch
    return best


def curves(view: View) -> Section:
    """A line for each recipe and epoch."""
    rows = view.found.rows
    by_row = {row: mean_points(row, rows[row]) for row in view.order}
    points = [point for row in view.order for point in by_row[row]]
    if not points:
        return Section(NONE, [], [], [])
    kinds = kinds_of(rows)
    best = {row: best_epochs(by_row[row], kinds) for row in view.order}

    def cells(name: str) -> list[str]:
        places = decimals(point.metrics[name] for point in points if name in point.metrics)
        return [
            f"{'*' if best[point.row].get(name) == point.epoch else ''}{fixed(point.metrics[name], places)}"
            if name in point.metrics
            else NOTHING
            for point in points
        ]

    losses = decimals(point.loss for point in points)
    columns = [
        *view.words(Style(), [point.row for point in points]),
        Column("epoch", [f"{point.epoch}/{point.epochs}" for point in points], number=True),
        Column("loss", [fixed(point.loss, losses) for point in points], number=True),
        *(Column(name, cells(name), number=True) for name in kinds),
    ]
    notes = [
        "loss: of pretraining, mean of the epoch; metrics: of frozen features after it; mean over seeds",
        "*: best epoch of curve, chosen on the images that it is judged on: the result of a training is its last epoch",
    ]
    json_rows = [
        {
            **{kind: view.names[kind][point.row] or None for kind in NAMES},
            "epoch": point.epoch,
            "epochs": point.epochs,
            "seeds": point.seeds,
            "loss": point.loss,
            **{name: point.metrics.get(name) for name in kinds},
        }
        for point in points
    ]
    return Section("curves: judged while training", json_rows, columns, notes)


def best_of_curve(view: View) -> list[str]:
    """A line for each recipe with a curve: the best epoch of each metric that needs labels."""
    lines = []
    for row in view.order:
        points = mean_points(row, view.found.rows[row])
        known = kinds_of([view.found.rows[row]])
        kinds = {name: facts for name, facts in known.items() if facts.get("evaluator") not in LABEL_FREE}
        words = []
        for name, epoch in best_epochs(points, kinds).items():
            places = decimals(point.metrics[name] for point in points if name in point.metrics)
            at = {point.epoch: point.metrics[name] for point in points if name in point.metrics}
            last = f", last {fixed(at[points[-1].epoch], places)}" if points[-1].epoch in at else ""
            words.append(f"{name} {fixed(at[epoch], places)} at epoch {epoch} of {points[-1].epochs}{last}")
        if words:
            lines.append(f"{view.recipe(row)}: {'; '.join(words)}")
    return lines
