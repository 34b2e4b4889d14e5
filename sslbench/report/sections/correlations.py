"""Do pretext loss and label-free metrics rank what the probes rank? Over the cells of a suite, and over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from sslbench.report.aggregate import Recipe
from sslbench.report.metric_columns import LABEL_FREE, PROBES
from sslbench.report.numbers import NOTHING
from sslbench.report.rows import Row
from sslbench.report.sections.curves import curves_of
from sslbench.report.text import Column, Section
from sslbench.report.view import View
from sslbench.statistics.correlation import FEWEST, FEWEST_FOR_INTERVAL, Coefficient, pearson, spearman
from sslbench.store.record import CurvePoint, FeatureFacts, TrainingFacts

TITLE = "correlations with the probes"
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
    quantity: str
    probe: str
    n: int
    """points; of curves the epochs of one"""
    curves: int
    """curves that it is the mean of; 0 where the points are trainings"""
    spearman: Coefficient
    pearson: Coefficient


def correlations(view: View) -> Section:
    """A line for each quantity, probe and group of trainings; then the same over the epochs of each recipe's curves."""
    lines: list[Line] = []
    too_few = 0
    datasets = view.names.of_kind["dataset"]
    for dataset in dict.fromkeys(datasets):
        rows = [row for row in view.order if datasets[row] == dataset]
        methods = view.by_method(rows)
        for over, members in {"all trainings": rows, **(methods if len(methods) > 1 else {})}.items():
            points = [point for row in members for point in trainings(view.aggregate.recipes[row])]
            # What three points say is noise: shown only where there is nothing better.
            fewest = FEWEST if members == rows else FEWEST_FOR_INTERVAL
            correlated, lacking = over_points(dataset, over, points, fewest)
            lines += correlated
            too_few += lacking
        for row in rows:
            over = f"epochs of {view.names.recipe(row)}"
            lines += over_epochs(dataset, over, view.aggregate.recipes[row].row)
    if not lines:
        evaluators = {record.evaluator for recipe in view.aggregate.recipes for record in recipe.row.records}
        why = f"fewer than {FEWEST} trainings, and no curve (--set curve_every=1)"
        none = f"no probe among the evaluators ({', '.join(PROBES)})"
        return Section(f"{TITLE}: {why if evaluators & set(PROBES) else none}")
    return Section(TITLE, [as_row(line) for line in lines], columns_of(lines), notes(lines, too_few))


def trainings(recipe: Recipe) -> list[Point]:
    """One point for each seed of a recipe."""
    points: dict[int, Point] = {}
    for record in recipe.row.records:
        training, features = record.pretraining or TrainingFacts(), record.features or FeatureFacts()
        quantities = points.setdefault(record.seed, Point({}, {})).quantities
        for name, value in ((LOSS, training.final_loss), (SPREAD, features.spread)):
            if value is not None:
                quantities[name] = float(value)
    for label in recipe.metrics:
        for seed, sample in recipe.samples.get(label, {}).items():
            if sample.evaluator_name in LABEL_FREE:
                points[seed].quantities[label] = sample.value
            if sample.evaluator_name in PROBES:
                points[seed].probes[label] = sample.value
    return list(points.values())


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
    means = []
    for same in by_pair.values():
        # Without an interval: the epochs of one training depend on each other.
        by_name = {name: [getattr(line, name).value for line in same] for name in ("spearman", "pearson")}
        known = {name: [value for value in values if value is not None] for name, values in by_name.items()}
        mean: dict[str, Any] = {name: Coefficient(fmean(values) if values else None) for name, values in known.items()}
        means.append(replace(same[0], n=min(line.n for line in same), curves=len(same), **mean))
    return means


def epoch_point(point: CurvePoint) -> Point:
    """One epoch of one curve."""
    values = [(name, float(m.value), m.evaluator) for name, m in point.metrics.items() if m.value is not None]
    quantities = {name: value for name, value, evaluator in values if evaluator in LABEL_FREE}
    probes = {name: value for name, value, evaluator in values if evaluator in PROBES}
    return Point(quantities if point.loss is None else {LOSS: float(point.loss), **quantities}, probes)


def columns_of(lines: Sequence[Line]) -> list[Column]:
    """The lines as a person reads them."""
    columns = [
        Column("over", [line.over for line in lines]),
        Column("of", [line.quantity for line in lines]),
        Column("with", [line.probe for line in lines]),
        Column("n", [str(line.n) for line in lines], number=True, rank=1),
        Column("Spearman", [in_words(line.spearman) for line in lines], number=True),
        Column("Pearson", [in_words(line.pearson) for line in lines], number=True, rank=2),
    ]
    if len({line.dataset for line in lines}) > 1:
        columns.insert(0, Column("dataset", [line.dataset for line in lines]))
    return columns


def in_words(coefficient: Coefficient) -> str:
    """``0.83 (0.41 to 0.96)``."""
    if coefficient.value is None:
        return NOTHING
    text = f"{coefficient.value:.2f}"
    return text if coefficient.low is None else f"{text} ({coefficient.low:.2f} to {coefficient.high:.2f})"


def notes(lines: Sequence[Line], too_few: int) -> list[str]:
    """What to know about these lines. ``too_few``: pairs of quantity and probe without a line."""
    text = [
        "Spearman: of the ranks; Pearson: of the values; in brackets the 95% interval, where there are 4 points or more"
        " that are not on a line; n: trainings, one for each recipe and seed; seeds of one recipe resemble each other,"
        " so with few recipes the true interval is wider",
    ]
    if any(line.quantity == LOSS for line in lines):
        text.append(
            "a useful loss would be near -1 (lower loss, better probe); losses of different methods or settings have"
            " different units, so over all trainings it is a question of whether they can be compared at all"
        )
    if any(line.curves for line in lines):
        text.append(
            "epochs of: n epochs of one training, mean over its seeds; they depend on each other, so there is no"
            " interval"
        )
    if too_few:
        text.append(
            f"{too_few} pairs of quantity and probe are left out: fewer than {FEWEST_FOR_INTERVAL} trainings of a"
            f" method (of all: {FEWEST}), or nothing varies"
        )
    return text


def as_row(line: Line) -> dict[str, Any]:
    """One line, unrounded."""
    row: dict[str, Any] = {name: value for name, value in vars(line).items() if not isinstance(value, Coefficient)}
    for name, of in (("spearman", line.spearman), ("pearson", line.pearson)):
        row |= {name: of.value, f"{name}_low": of.low, f"{name}_high": of.high}
    return row
