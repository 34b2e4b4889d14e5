"""What trainings and epochs measured, and how their quantities go with the probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from sslbench.report.defaults import LABEL_FREE, PROBES
from sslbench.report.recipes import Recipe
from sslbench.report.rows import Row
from sslbench.report.sections.curves import curves_of
from sslbench.statistics.correlation import FEWEST, Coefficient, pearson, spearman
from sslbench.store.record import CurvePoint, Record

LOSS, SPREAD = "pretext loss", "spread of features"
Values = dict[str, float]


@dataclass(frozen=True)
class Point:
    """What one pretraining, or one epoch of it, measured."""

    quantities: Values
    probes: Values


@dataclass(frozen=True)
class Line:
    """One quantity against one probe over some points."""

    dataset: str
    over: str
    """which points"""
    quantity: str
    probe: str
    n: int
    """points; of curves the epochs of one"""
    curves: int
    """curves that it is the mean of; 0 where the points are trainings"""
    spearman: Coefficient
    pearson: Coefficient


def trainings(recipe: Recipe) -> list[Point]:
    """One point for each seed of a recipe."""
    points: dict[int, Point] = {}
    for record in recipe.row.records:
        points.setdefault(record.seed, Point({}, {})).quantities.update(by_products(record))
    for label in recipe.metrics:
        for seed, sample in recipe.samples.get(label, {}).items():
            if sample.evaluator_name in LABEL_FREE:
                points[seed].quantities[label] = sample.value
            if sample.evaluator_name in PROBES:
                points[seed].probes[label] = sample.value
    return list(points.values())


def by_products(record: Record) -> Values:
    """What a training measured without an evaluator."""
    values = {
        LOSS: record.pretraining.final_loss if record.pretraining else None,
        SPREAD: record.features.spread if record.features else None,
    }
    return {name: float(value) for name, value in values.items() if value is not None}


def over_points(dataset: str, over: str, points: Sequence[Point], fewest: int) -> tuple[list[Line], int]:
    """A line for each quantity and probe with enough points that vary; and how many have not."""
    lines, too_few = [], 0
    for quantity in dict.fromkeys(name for point in points for name in point.quantities):
        for probe in dict.fromkeys(name for point in points for name in point.probes):
            both = [point for point in points if quantity in point.quantities and probe in point.probes]
            first = [point.quantities[quantity] for point in both]
            second = [point.probes[probe] for point in both]
            if len(both) < fewest or len(set(first)) < 2 or len(set(second)) < 2:
                too_few += bool(both)
                continue
            line = Line(dataset, over, quantity, probe, len(both), 0, spearman(first, second), pearson(first, second))
            lines.append(line)
    return lines, too_few


def over_epochs(dataset: str, over: str, row: Row) -> list[Line]:
    """The mean over a recipe's curves of the correlation over epochs."""
    by_pair: dict[tuple[str, str], list[Line]] = {}
    for points in curves_of(row).values():
        for line in over_points(dataset, over, [epoch_point(point) for point in points], FEWEST)[0]:
            by_pair.setdefault((line.quantity, line.probe), []).append(line)
    return [mean_line(lines) for lines in by_pair.values()]


def epoch_point(point: CurvePoint) -> Point:
    """One epoch of one curve."""
    quantities = {} if point.loss is None else {LOSS: float(point.loss)}
    probes: Values = {}
    for name, metric in point.metrics.items():
        if metric.value is not None and metric.evaluator in LABEL_FREE:
            quantities[name] = float(metric.value)
        if metric.value is not None and metric.evaluator in PROBES:
            probes[name] = float(metric.value)
    return Point(quantities, probes)


def mean_line(lines: Sequence[Line]) -> Line:
    """Of the same pair over several curves, without an interval: the epochs of one training depend on each other."""
    first = lines[0]
    return Line(
        first.dataset,
        first.over,
        first.quantity,
        first.probe,
        min(line.n for line in lines),
        len(lines),
        mean_of([line.spearman for line in lines]),
        mean_of([line.pearson for line in lines]),
    )


def mean_of(coefficients: Sequence[Coefficient]) -> Coefficient:
    """Of those that are defined."""
    values = [coefficient.value for coefficient in coefficients if coefficient.value is not None]
    return Coefficient(fmean(values) if values else None)
