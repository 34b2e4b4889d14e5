"""The best of each metric against every other recipe: difference, interval, p, and what the p rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sslbench.report.aggregate import Recipe
from sslbench.report.metric_columns import MetricColumn, Sample
from sslbench.report.numbers import NOTHING, fixed
from sslbench.report.ranking import SIGNIFICANT, over_seeds
from sslbench.report.rows import Row, as_text
from sslbench.report.text import Column, Section
from sslbench.report.view import View
from sslbench.statistics.images import compare_images
from sslbench.statistics.student import Difference, holm
from sslbench.store.artifacts import pretraining_files, read_per_image
from sslbench.store.record import TrainingFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

TITLE = "pairs: each recipe against the best of its metric"
OVER_SEEDS = "paired t over seeds"
UNTESTED = "not tested"


@dataclass(frozen=True)
class Pair:
    """One recipe against the best of its data set."""

    metric: MetricColumn
    best: int
    """index of a recipe"""
    other: int
    difference: Difference
    """other - best, in units of the metric"""
    test: str
    """its name and its number of seeds or images; empty where nothing was tested"""
    corrected: float | None = None
    """p after Holm's correction for all others of this metric and data set that were tested in the same way"""

    @property
    def verdict(self) -> str:
        """``tie``, ``worse`` or ``not tested``."""
        if self.corrected is None:
            return UNTESTED
        return "tie" if self.corrected >= SIGNIFICANT else "worse"


def pairs(view: View, folder: Path) -> Section:
    """A line for each metric and recipe that is not the best one. ``folder``: holds the metrics of each image."""
    compared: list[Pair] = []
    left_out = 0
    recipes = view.aggregate.recipes
    for metric in view.aggregate.metrics:
        for best, *others in view.ranking.rivals(metric) if metric.higher_is_better is not None else ():
            images = evaluated_on(recipes[best].row)
            same = [other for other in others if evaluated_on(recipes[other].row) == images]
            left_out += len(others) - len(same)
            compared += corrected([compare_two(recipes, metric, best, other, folder) for other in same])
    if not compared:
        return Section(f"{TITLE}: fewer than two recipes to compare")
    rows = [as_row(view, pair) for pair in compared]
    return Section(TITLE, rows, columns_of(view, compared), notes(compared, left_out))


def evaluated_on(row: Row) -> str:
    """What two rows must share to have been evaluated on the same images."""
    return as_text([row.name("dataset"), row.params["dataset"], row.params["training"].get("evaluate_on")])


def compare_two(recipes: Sequence[Recipe], metric: MetricColumn, best: int, other: int, folder: Path) -> Pair:
    """Over seeds where two or more are shared and their differences vary, else over the test images of one seed."""
    values, best_values = (recipes[index].values(metric.label) for index in (other, best))
    shared = over_seeds(values, best_values)
    if shared is not None and shared.p is not None:
        return Pair(metric, best, other, shared, f"{OVER_SEEDS} ({shared.n})")
    samples, best_samples = (recipes[index].samples[metric.label] for index in (other, best))
    for seed in sorted(samples.keys() & best_samples.keys()):
        images, best_images = (images_of(of_seed[seed], folder) for of_seed in (samples, best_samples))
        if images is not None and best_images is not None and len(images) == len(best_images):
            difference, test = compare_images(images, best_images)
            return Pair(metric, best, other, difference, f"{test} ({difference.n:,})")
    mean = fmean(values.values()) - fmean(best_values.values())
    return Pair(metric, best, other, shared or Difference(mean, None, None, None, 0), "")


def images_of(sample: Sample, folder: Path) -> NDArray[Any] | None:
    """The metric of each test image, or None where it is not kept or one of them has none."""
    import numpy

    training = sample.record.pretraining or TrainingFacts()
    path = pretraining_files(folder, training.key or "none").per_image(sample.record.cell)
    values = read_per_image(path).get(sample.key[0])
    return None if values is None or not numpy.isfinite(values).all() else values


def corrected(group: Sequence[Pair]) -> list[Pair]:
    """The same pairs with Holm's correction, for each test by itself."""
    by_test: dict[str, list[int]] = {}
    for index, pair in enumerate(group):
        if pair.difference.p is not None:
            by_test.setdefault(pair.test.partition(" (")[0], []).append(index)
    pairs = list(group)
    for indices in by_test.values():
        p_values = holm([pairs[index].difference.p or 0.0 for index in indices])
        for index, p in zip(indices, p_values, strict=True):
            pairs[index] = replace(pairs[index], corrected=p)
    return pairs


def columns_of(view: View, compared: Sequence[Pair]) -> list[Column]:
    """The pairs as a person reads them."""
    places = {pair.metric.label: view.ranking.decimals(pair.metric) for pair in compared}

    def signed(pair: Pair, value: float | None) -> str:
        return NOTHING if value is None else f"{value:+.{places[pair.metric.label]}f}"

    def interval(pair: Pair) -> str:
        ends = dict.fromkeys(signed(pair, value) for value in (pair.difference.low, pair.difference.high))
        return " to ".join(ends)

    return [
        Column("metric", [pair.metric.label for pair in compared]),
        Column("best", [view.names.recipe(pair.best) for pair in compared]),
        Column("other", [view.names.recipe(pair.other) for pair in compared]),
        Column("other - best", [signed(pair, pair.difference.mean) for pair in compared], number=True),
        Column("95% interval", [interval(pair) for pair in compared], number=True),
        Column("p", [probability(pair.difference.p) for pair in compared], number=True),
        Column("p (Holm)", [probability(pair.corrected) for pair in compared], number=True),
        Column("test", [pair.test or NOTHING for pair in compared]),
        Column("verdict", [pair.verdict for pair in compared]),
    ]


def probability(p: float | None) -> str:
    """Three decimals."""
    if p is None:
        return NOTHING
    return fixed(p, 3) if p >= 0.001 else "<0.001"


def notes(compared: Sequence[Pair], left_out: int) -> list[str]:
    """What to know about these pairs. ``left_out``: recipes that were not compared."""
    lines = [
        f"tie: p at least {SIGNIFICANT:g} after Holm's correction for the recipes of one metric and data set; that a"
        " difference is not seen does not say that there is none"
    ]
    if any(pair.test.startswith(OVER_SEEDS) for pair in compared):
        lines.append(f"{OVER_SEEDS}: the same seeds and test images for both; tells what other seeds would show")
    if any("images" in pair.test for pair in compared):
        lines.append(
            "over images: two trained models, one seed of each, on the same test images; tells nothing of other seeds"
            " (run more with --seeds 0,1,2)"
        )
    if any(not pair.test for pair in compared):
        lines.append(
            f"{UNTESTED}: fewer than two seeds in common (or no spread), and the metric of each image is not kept"
        )
    lines.append("the best was chosen by these very numbers, which favours it a little")
    if left_out:
        lines.append(f"{left_out} left out: evaluated on other images than the best")
    return lines


def as_row(view: View, pair: Pair) -> dict[str, Any]:
    """One pair, unrounded."""
    difference = pair.difference
    return {
        "metric": pair.metric.label,
        "dataset": view.names.of_kind["dataset"][pair.best],
        "best": view.names.recipe(pair.best),
        "other": view.names.recipe(pair.other),
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "p": difference.p,
        "p_holm": pair.corrected,
        "n": difference.n,
        "test": pair.test or None,
        "verdict": pair.verdict,
    }
