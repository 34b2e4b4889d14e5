"""Two recipes on one metric: over the seeds that both have, else over the test images of one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sslbench.report.metric_columns import MetricColumn, Sample
from sslbench.report.recipes import Recipe
from sslbench.report.rows import Row, as_text
from sslbench.report.ties import SIGNIFICANT, over_seeds
from sslbench.statistics.images import all_finite, compare_images
from sslbench.statistics.student import Difference, holm
from sslbench.store.artifacts import pretraining_files, read_per_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def compare_rivals(recipes: Sequence[Recipe], metric: MetricColumn, rivals: Sequence[int], folder: Path) -> list[Pair]:
    """The first of the rivals, which is the best, against each other that was evaluated on the same images."""
    best, *others = rivals
    images = evaluated_on(recipes[best].row)
    same = [other for other in others if evaluated_on(recipes[other].row) == images]
    return corrected([compare_two(recipes, metric, best, other, folder) for other in same])


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
    if shared is not None:
        return Pair(metric, best, other, shared, "")
    mean = fmean(values.values()) - fmean(best_values.values())
    return Pair(metric, best, other, Difference(mean, None, None, None, 0), "")


def images_of(sample: Sample, folder: Path) -> NDArray[Any] | None:
    """The metric of each test image, or None where it is not kept or one of them has none."""
    training = sample.record.pretraining
    if training is None or not training.key:
        return None
    path = pretraining_files(folder, training.key).per_image(sample.record.cell)
    values = read_per_image(path).get(sample.name)
    return None if values is None or not all_finite(values) else values


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
