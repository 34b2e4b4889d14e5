"""The best of each metric against every other recipe: difference, interval, p, and what the p rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sslbench.report.aggregate import Recipe
from sslbench.report.metric_columns import Sample
from sslbench.report.numbers import NOTHING, fixed
from sslbench.report.ranking import SIGNIFICANT, over_seeds
from sslbench.report.rows import Row, as_text
from sslbench.report.text import Column, Section
from sslbench.report.view import View
from sslbench.statistics.images import compare_images
from sslbench.statistics.intervals import Difference, holm
from sslbench.store.artifacts import pretraining_files, read_per_image
from sslbench.store.record import TrainingFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

TITLE = "pairs: each recipe against the best of its metric"
OVER_SEEDS = "paired t over seeds"
UNTESTED = "not tested"


@dataclass(frozen=True)
class Pair:
    """One recipe against the best of its metric and data set; a line of the section."""

    metric: str
    dataset: str
    best: str
    other: str
    difference: float
    """other - best, in units of the metric"""
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    """after Holm's correction for all others of this metric and data set that were tested in the same way"""
    n: int
    test: str | None
    """its name and its number of seeds or images"""
    verdict: str = UNTESTED
    """or ``tie`` or ``worse``"""


def pairs(view: View, folder: Path) -> Section:
    """A line for each metric and recipe that is not the best one. ``folder``: holds the metrics of each image."""
    compared: list[Pair] = []
    left_out = 0
    recipes, names = view.aggregate.recipes, view.names
    for metric in view.aggregate.metrics:
        for best, *others in view.ranking.rivals(metric) if metric.higher_is_better is not None else ():
            images = evaluated_on(recipes[best].row)
            same = [other for other in others if evaluated_on(recipes[other].row) == images]
            left_out += len(others) - len(same)
            group = []
            for other in same:
                words = (metric.label, names.of_kind["dataset"][best], names.recipe(best), names.recipe(other))
                result, test = difference_of(recipes[other], recipes[best], metric.label, folder)
                group.append(Pair(*words, result.mean, result.low, result.high, result.p, None, result.n, test))
            compared += corrected(group)
    if not compared:
        return Section(f"{TITLE}: fewer than two recipes to compare")
    places = {metric.label: view.ranking.decimals(metric) for metric in view.aggregate.metrics}
    rows = [vars(pair) for pair in compared]
    return Section(TITLE, rows, columns_of(compared, places), notes(compared, left_out))


def evaluated_on(row: Row) -> str:
    """What two rows must share to have been evaluated on the same images."""
    return as_text([row.name("dataset"), row.params["dataset"], row.params["training"].get("evaluate_on")])


def difference_of(recipe: Recipe, best: Recipe, label: str, folder: Path) -> tuple[Difference, str | None]:
    """``recipe - best`` over seeds where two or more are shared and differences vary, else over the test images of
    one seed; and the test, None where nothing was tested."""
    values, best_values = recipe.values(label), best.values(label)
    shared = over_seeds(values, best_values)
    if shared is not None and shared.p is not None:
        return shared, f"{OVER_SEEDS} ({shared.n})"
    for seed in sorted(values.keys() & best_values.keys()):
        images, best_images = (images_of(side.samples[label][seed], folder) for side in (recipe, best))
        if images is not None and best_images is not None and len(images) == len(best_images):
            difference, test = compare_images(images, best_images)
            return difference, f"{test} ({difference.n:,})"
    mean = fmean(values.values()) - fmean(best_values.values())
    return shared or Difference(mean, None, None, None, 0), None


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
        if pair.p is not None:
            by_test.setdefault(str(pair.test).partition(" (")[0], []).append(index)
    pairs = list(group)
    for indices in by_test.values():
        for index, p in zip(indices, holm([pairs[index].p or 0.0 for index in indices]), strict=True):
            pairs[index] = replace(pairs[index], p_holm=p, verdict="tie" if p >= SIGNIFICANT else "worse")
    return pairs


def columns_of(compared: Sequence[Pair], places: Mapping[str, int]) -> list[Column]:
    """The pairs as a person reads them. ``places``: decimals of each metric."""

    def signed(pair: Pair, *values: float | None) -> str:
        words = [NOTHING if value is None else f"{value:+.{places[pair.metric]}f}" for value in values]
        return " to ".join(dict.fromkeys(words))

    def probability(p: float | None) -> str:
        return "<0.001" if p is not None and p < 0.001 else fixed(p, 3)

    return [
        *(Column(name, [getattr(pair, name) for pair in compared]) for name in ("metric", "best", "other")),
        Column("other - best", [signed(pair, pair.difference) for pair in compared], number=True),
        Column("95% interval", [signed(pair, pair.low, pair.high) for pair in compared], number=True),
        Column("p", [probability(pair.p) for pair in compared], number=True),
        Column("p (Holm)", [probability(pair.p_holm) for pair in compared], number=True),
        Column("test", [pair.test or NOTHING for pair in compared]),
        Column("verdict", [pair.verdict for pair in compared]),
    ]


def notes(compared: Sequence[Pair], left_out: int) -> list[str]:
    """What to know about these pairs. ``left_out``: recipes that were not compared."""
    lines = [
        f"tie: p at least {SIGNIFICANT:g} after Holm's correction for the recipes of one metric and data set; that a"
        " difference is not seen does not say that there is none"
    ]
    tests = {str(pair.test).partition(" (")[0] for pair in compared}
    if OVER_SEEDS in tests:
        lines.append(f"{OVER_SEEDS}: the same seeds and test images for both; tells what other seeds would show")
    if any("images" in test for test in tests):
        lines.append(
            "over images: two trained models, one seed of each, on the same test images; tells nothing of other seeds"
            " (run more with --seeds 0,1,2)"
        )
    if any(pair.test is None for pair in compared):
        lines.append(
            f"{UNTESTED}: fewer than two seeds in common (or no spread), and the metric of each image is not kept"
        )
    lines.append("the best was chosen by these very numbers, which favours it a little")
    if left_out:
        lines.append(f"{left_out} left out: evaluated on other images than the best")
    return lines
