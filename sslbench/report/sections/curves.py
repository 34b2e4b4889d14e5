"""What became of each recipe while it trained, where a curve was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sslbench.report.metric_columns import LABEL_FREE
from sslbench.report.numbers import decimals, fixed
from sslbench.report.rows import Row
from sslbench.report.text import Column, Section
from sslbench.report.view import Style, View
from sslbench.store.record import CurvePoint, MetricValue

NO_CURVE = "no curve: none of these trainings was evaluated while it went on; run with --set curve_every=1"
NOTES = (
    "loss: of pretraining, mean of the epoch; metrics: of frozen features after it; mean over seeds",
    "*: best epoch of curve, chosen on the images that it is evaluated on: the result of a training is its last epoch",
)


@dataclass(frozen=True)
class Point:
    """One epoch of a recipe, mean over its seeds."""

    row: int
    epoch: int
    epochs: int
    """of the whole training"""
    seeds: int
    loss: float | None
    metrics: Mapping[str, float]
    """those that every seed measured"""


def curves_of(row: Row) -> dict[int, Sequence[CurvePoint]]:
    """Seed -> points, of the seeds that have a curve. The records of one pretraining repeat it."""
    curves: dict[int, Sequence[CurvePoint]] = {}
    for record in row.records:
        if record.pretraining and record.pretraining.curve:
            curves.setdefault(record.seed, record.pretraining.curve)
    return curves


def mean_points(index: int, row: Row) -> list[Point]:
    """The epochs that all curves of a recipe have, in order."""
    curves = [{point.epoch: point for point in points} for points in curves_of(row).values()]
    if not curves:
        return []
    epochs = sorted(set.intersection(*(set(curve) for curve in curves)))
    means = []
    for epoch in epochs:
        points = [curve[epoch] for curve in curves]
        values = [{name: m.value for name, m in point.metrics.items() if m.value is not None} for point in points]
        shared = [name for name in values[0] if all(name in of_seed for of_seed in values)]
        metrics = {name: fmean(of_seed[name] for of_seed in values) for name in shared}
        losses = [point.loss for point in points if point.loss is not None]
        loss = fmean(losses) if len(losses) == len(points) else None
        means.append(Point(index, epoch, epochs[-1], len(points), loss, metrics))
    return means


def metrics_of_curves(rows: Sequence[Row]) -> dict[str, MetricValue]:
    """Every metric of a curve, those that need labels first; of each one value, for its unit and direction."""
    metrics: dict[str, MetricValue] = {}
    for point in (point for row in rows for points in curves_of(row).values() for point in points):
        metrics |= {name: metric for name, metric in point.metrics.items() if name not in metrics}
    return dict(sorted(metrics.items(), key=lambda item: item[1].evaluator in LABEL_FREE))


def best_epochs(points: Sequence[Point], metrics: Mapping[str, MetricValue]) -> dict[str, int]:
    """Metric -> the epoch at which its mean over seeds was best; of equals the first."""
    best = {}
    for name, metric in metrics.items():
        values = {point.epoch: point.metrics[name] for point in points if name in point.metrics}
        if values and metric.higher_is_better is not None:
            best[name] = (max if metric.higher_is_better else min)(values, key=values.__getitem__)
    return best


def curves(view: View) -> Section:
    """A line for each recipe and epoch."""
    rows = [recipe.row for recipe in view.aggregate.recipes]
    by_row = {row: mean_points(row, rows[row]) for row in view.order}
    points = [point for row in view.order for point in by_row[row]]
    if not points:
        return Section(NO_CURVE)
    metrics = metrics_of_curves(rows)
    best = {row: best_epochs(by_row[row], metrics) for row in view.order}
    losses = decimals(point.loss for point in points)

    def cells(name: str) -> list[str]:
        places = decimals(point.metrics.get(name) for point in points)
        marks = ["*" if best[point.row].get(name) == point.epoch else "" for point in points]
        return [mark + fixed(point.metrics.get(name), places) for mark, point in zip(marks, points, strict=True)]

    columns = [
        *view.words(Style(), [point.row for point in points]),
        Column("epoch", [f"{point.epoch}/{point.epochs}" for point in points], number=True),
        Column("loss", [fixed(point.loss, losses) for point in points], number=True),
        *(Column(name, cells(name), number=True) for name in metrics),
    ]
    json_rows = [
        {
            **view.names.columns_of(point.row),
            **{name: getattr(point, name) for name in ("epoch", "epochs", "seeds", "loss")},
            **{name: point.metrics.get(name) for name in metrics},
        }
        for point in points
    ]
    return Section("curves: evaluated while training", json_rows, columns, NOTES)


def best_of_curve(view: View) -> list[str]:
    """A line for each recipe with a curve: ``knn_top1 0.600 at epoch 4 of 6, last 0.400`` of metrics with labels."""
    lines = []
    for row in view.order:
        recipe = view.aggregate.recipes[row].row
        metrics = metrics_of_curves([recipe])
        points = mean_points(row, recipe)
        words = []
        for name, epoch in best_epochs(points, metrics).items():
            if metrics[name].evaluator not in LABEL_FREE:
                values = {point.epoch: point.metrics[name] for point in points if name in point.metrics}
                epochs, places = points[-1].epochs, decimals(values.values())
                last = f", last {fixed(values[epochs], places)}" if epochs in values else ""
                words.append(f"{name} {fixed(values[epoch], places)} at epoch {epoch} of {epochs}{last}")
        if words:
            lines.append(f"{view.names.recipe(row)}: {'; '.join(words)}")
    return lines
