"""Do pretext loss and label-free metrics rank what the probes rank? Over the cells of a suite, and over epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sslbench.report.text import Column
from sslbench.report.numbers import NOTHING
from sslbench.report.sections.curves import LABEL_FREE, curves_of
from sslbench.report.sections.render import Section
from sslbench.report.view import View
from sslbench.statistics.correlation import FEWEST, FEWEST_FOR_INTERVAL, Coefficient, pearson, spearman

PROBES = ("knn", "linear-probe")
"""evaluators whose metrics the others are held against"""
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


def correlations(view: View) -> Section:
    """A line for each quantity, probe and group of trainings; then the same over the epochs of each recipe's curves."""
    lines, few = [], 0
    for dataset in dict.fromkeys(view.names["dataset"]):
        rows = [row for row in view.order if view.names["dataset"][row] == dataset]
        by_row = {row: list(trainings(view, row)) for row in rows}
        methods = dict.fromkeys(view.found.rows[row].name("method") for row in rows)
        groups = {"all trainings": rows}
        if len(methods) > 1:
            groups |= {name: [row for row in rows if view.found.rows[row].name("method") == name] for name in methods}
        for over, members in groups.items():
            points = [point for row in members for point in by_row[row]]
            # What three points say is noise: told only where there is nothing better.
            found, lacking = over_points(dataset, over, points, FEWEST if members == rows else FEWEST_FOR_INTERVAL)
            lines += found
            few += lacking
        for row in rows:
            lines += over_epochs(view, dataset, row)
    title = "correlations with the probes"
    if not lines:
        return Section(f"{title}: {why_none(view)}", [], [], [])
    return Section(title, [as_row(line) for line in lines], columns_of(lines), notes(lines, few))


def trainings(view: View, row: int) -> Iterator[Point]:
    """One point for each seed of a recipe."""
    quantities: dict[int, Values] = {}
    probes: dict[int, Values] = {}
    for record in view.found.rows[row].records:
        here = quantities.setdefault(record["seed"], {})
        for name, part, key in ((LOSS, "pretraining", "final_loss"), (SPREAD, "features", "spread")):
            value = (record.get(part) or {}).get(key)
            if value is not None:
                here[name] = float(value)
    for quality in view.found.qualities:
        for seed, record in view.found.sources.get((row, quality.label), {}).items():
            for evaluators, into in ((LABEL_FREE, quantities), (PROBES, probes)):
                if record["evaluator"] in evaluators:
                    into.setdefault(seed, {})[quality.label] = view.found.values[row, quality.label][seed]
    for seed, values in quantities.items():
        yield Point(values, probes.get(seed, {}))


def over_points(dataset: str, over: str, points: Sequence[Point], fewest: int) -> tuple[list[Line], int]:
    """A line for each quantity and probe with enough points that vary; and how many have not."""
    lines, few = [], 0
    for quantity in dict.fromkeys(name for point in points for name in point.quantities):
        for probe in dict.fromkeys(name for point in points for name in point.probes):
            both = [
                (point.quantities[quantity], point.probes[probe])
                for point in points
                if quantity in point.quantities and probe in point.probes
            ]
            if len(both) < fewest or any(len(set(values)) < 2 for values in zip(*both, strict=True)):
                few += bool(both)
                continue
            first, second = [list(values) for values in zip(*both, strict=True)]
            line = Line(dataset, over, quantity, probe, len(both), 0, spearman(first, second), pearson(first, second))
            lines.append(line)
    return lines, few


def over_epochs(view: View, dataset: str, row: int) -> list[Line]:
    """The mean over a recipe's curves of the correlation over epochs."""
    by_pair: dict[tuple[str, str], list[Line]] = {}
    over = f"epochs of {view.recipe(row)}"
    for points in curves_of(view.found.rows[row]).values():
        for line in over_points(dataset, over, list(map(epoch_point, points)), FEWEST)[0]:
            by_pair.setdefault((line.quantity, line.probe), []).append(line)
    lines = []
    for (quantity, probe), same in by_pair.items():
        means = [mean_of([getattr(line, name).value for line in same]) for name in ("spearman", "pearson")]
        n = min(line.n for line in same)
        lines.append(Line(dataset, over, quantity, probe, n, len(same), *means))
    return lines


def epoch_point(point: Mapping[str, Any]) -> Point:
    values = {
        name: (float(facts["value"]), facts.get("evaluator"))
        for name, facts in point["metrics"].items()
        if facts.get("value") is not None
    }
    quantities = {name: value for name, (value, evaluator) in values.items() if evaluator in LABEL_FREE}
    probes = {name: value for name, (value, evaluator) in values.items() if evaluator in PROBES}
    return Point({LOSS: float(point["loss"]), **quantities}, probes)


def mean_of(values: Sequence[float | None]) -> Coefficient:
    """Without an interval: the epochs of one training depend on each other."""
    known = [value for value in values if value is not None]
    return Coefficient(fmean(known) if known else None)


def why_none(view: View) -> str:
    judges = {record["evaluator"] for row in view.found.rows for record in row.records}
    if not judges & set(PROBES):
        return f"no probe among the evaluators ({', '.join(PROBES)})"
    return f"fewer than {FEWEST} trainings, and no curve (--set curve_every=1)"


def columns_of(lines: Sequence[Line]) -> list[Column]:
    columns = [
        Column("over", [line.over for line in lines]),
        Column("of", [line.quantity for line in lines]),
        Column("with", [line.probe for line in lines]),
        Column("n", [str(line.n) for line in lines], number=True),
        *(
            Column(name.capitalize(), [in_words(getattr(line, name)) for line in lines], number=True)
            for name in ("spearman", "pearson")
        ),
    ]
    if len({line.dataset for line in lines}) > 1:
        columns.insert(0, Column("dataset", [line.dataset for line in lines]))
    return columns


def in_words(found: Coefficient) -> str:
    """``0.83 (0.41 to 0.96)``."""
    if found.value is None:
        return NOTHING
    text = f"{found.value:.2f}"
    return text if found.low is None else f"{text} ({found.low:.2f} to {found.high:.2f})"


def notes(lines: Sequence[Line], few: int) -> list[str]:
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
    if few:
        text.append(
            f"{few} pairs of quantity and probe are left out: fewer than {FEWEST_FOR_INTERVAL} trainings of a method"
            f" (of all: {FEWEST}), or nothing varies"
        )
    return text


def as_row(line: Line) -> dict[str, Any]:
    return {
        "dataset": line.dataset,
        "over": line.over,
        "quantity": line.quantity,
        "probe": line.probe,
        "n": line.n,
        "curves": line.curves,
        **{
            f"{name}{end}": getattr(getattr(line, name), part)
            for name in ("spearman", "pearson")
            for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
        },
    }
