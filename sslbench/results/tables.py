"""Results as data frames: the best of each metric, pairs, and curves."""

from __future__ import annotations

from typing import Any

from sslbench.report.aggregate import Recipe
from sslbench.report.frame import DataFrame, frame_of
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.ranking import Comparison
from sslbench.report.sections import pairs as section
from sslbench.report.sections.pairs import UNTESTED, Pair
from sslbench.report.view import View
from sslbench.results.words import keywords_for_options
from sslbench.store.record import CurvePoint

BEST = ("recipe", "dataset", "metric", "verdict", "value", "std", "seeds", "difference", "low", "high", "p", "test")
CURVES = ("row", "recipe", "seed", "epoch", "loss")


def best(view: View, column: MetricColumn) -> DataFrame:
    """A line for the best recipe of each data set, and for each that is not told apart from it. ``difference``: from
    the best, with its 95% interval; ``p``: corrected for the pairs that the best was chosen from."""
    numbers = {recipe: number for number, recipe in enumerate(view.order)}
    lines: dict[int, dict[str, Any]] = {}
    compared = {one.other: one for one in view.ranking.compared(column)}
    for group in view.ranking.rivals(column):
        for recipe in group:
            one = compared.get(recipe)
            if one is None or one.tie:
                lines[numbers[recipe]] = best_line(view, column, recipe, one)
    return frame_of(list(lines.values()), BEST, list(lines))


def best_line(view: View, column: MetricColumn, recipe: int, one: Comparison | None) -> dict[str, Any]:
    """``one``: its comparison with the best; None for the best itself."""
    estimate, names = view.aggregate.recipes[recipe].metrics[column.label], view.names
    line: dict[str, Any] = {
        "recipe": names.recipe(recipe),
        "dataset": names.of_kind["dataset"][recipe],
        "metric": column.label,
        "verdict": "best" if one is None else UNTESTED if one.test is None else "tie",
        "value": estimate.mean,
        "std": estimate.std,
        "seeds": estimate.n,
    }
    if one is not None:
        difference = one.difference
        line |= {"difference": difference.mean, "low": difference.low, "high": difference.high}
        line |= {"p": one.corrected, "test": one.test}
    return line


def pairs(view: View) -> DataFrame:
    """A line for each metric and recipe that is not the best one."""
    made = section.pairs(view)
    return frame_of(made.rows, list(Pair.__dataclass_fields__), notes=list(map(keywords_for_options, made.notes)))


def curves(view: View) -> DataFrame:
    """A line for each recipe, seed and epoch."""
    lines = []
    for number, recipe in enumerate(view.order):
        for seed, epochs in epochs_of(view.aggregate.recipes[recipe]).items():
            known = {"row": number, "recipe": view.names.recipe(recipe), "seed": seed}
            lines += [{**known, "epoch": epoch, **values} for epoch, values in sorted(epochs.items())]
    return frame_of(lines, CURVES)


def epochs_of(recipe: Recipe) -> dict[int, dict[int, dict[str, Any]]]:
    """Seed -> epoch, from 1 -> loss and metrics. The records of one pretraining repeat its curve."""
    seeds: dict[int, dict[int, dict[str, Any]]] = {}
    for record in recipe.row.records:
        facts = record.pretraining
        if facts is None or record.seed in seeds:
            continue
        points = [*(CurvePoint(epoch, loss) for epoch, loss in enumerate(facts.losses or (), 1)), *(facts.curve or ())]
        if points:
            epochs = seeds[record.seed] = {}
            for point in points:
                values = {name: metric.value for name, metric in point.metrics.items()}
                epochs.setdefault(point.epoch, {}).update({"loss": point.loss, **values})
    return seeds
