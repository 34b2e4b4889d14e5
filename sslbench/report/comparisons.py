"""Two recipes compared in one metric: over the seeds that both have, else over the test images of one seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sslbench.report.aggregate import Recipe
from sslbench.report.metric_columns import Sample
from sslbench.report.rows import Row, as_text
from sslbench.statistics.images import compare_images
from sslbench.statistics.intervals import Difference, paired_t
from sslbench.store.artifacts import pretraining_files, read_per_image
from sslbench.store.digests import DamagedFile
from sslbench.store.record import TrainingFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

OVER_SEEDS, SIGNS = "paired t over seeds", "signs over seeds"
"""names of the tests"""
FILES = 64
"""whose metrics are kept in memory: those of the best and of some that are compared with it"""
Seeds = Mapping[int, float]
"""seed -> value"""


class ImageMetrics:
    """The metrics of each test image that a results folder keeps; a file is read when it is first asked for."""

    def __init__(self, folder: Path | None) -> None:
        """``folder``: None where no image's metric is at hand."""
        self._folder = folder
        self._read = lru_cache(FILES)(self._whole)
        self.damaged: list[str] = []
        """a line for each file that is left out because it is damaged"""

    def _whole(self, path: Path) -> Mapping[str, NDArray[Any]]:
        try:
            return read_per_image(path)
        except DamagedFile as error:
            if str(error) not in self.damaged:
                self.damaged.append(str(error))
            return {}

    def of(self, sample: Sample) -> NDArray[Any] | None:
        """``[N]``, or None where it is not kept or one of the images has none."""
        if self._folder is None:
            return None
        training = sample.record.pretraining or TrainingFacts()
        path = pretraining_files(self._folder, training.key or "none").per_image(sample.record.cell)
        values = self._read(path).get(sample.key[0]) if path.is_file() else None
        if values is None:
            return None
        import numpy  # what is only listed needs none

        return values if numpy.isfinite(values).all() else None


def compare(recipe: Recipe, best: Recipe, label: str, images: ImageMetrics) -> tuple[Difference, str | None]:
    """``recipe - best``, and the test that gave p with its number of seeds or images, None where nothing was tested:
    over seeds where two or more are shared and change a value, else over the test images of one seed."""
    values, best_values = recipe.values(label), best.values(label)
    untested = Difference(fmean(values.values()) - fmean(best_values.values()), None, None, None, 0)
    if not same_images(recipe.row, best.row):
        return untested, None
    shared = over_seeds(values, best_values)
    if shared is not None and shared.n > 1 and not seedless(values, best_values):
        # The same difference on every seed has no spread. Shares of a few hundred images do so by chance: the signs
        # alone are believed (Fisher, The Design of Experiments, section 21).
        test = OVER_SEEDS if shared.p is not None else SIGNS
        p = 2.0 ** (1 - shared.n) if shared.p is None else shared.p
        return replace(shared, p=p), f"{test} ({shared.n})"
    for seed in sorted(values.keys() & best_values.keys()):
        own, others = (images.of(side.samples[label][seed]) for side in (recipe, best))
        if own is not None and others is not None and len(own) == len(others):
            difference, test = compare_images(own, others)
            return difference, f"{test} ({difference.n:,})"
    return replace(shared, low=None, high=None, p=None) if shared else untested, None


def is_over_seeds(test: str | None) -> bool:
    """Whether a test as ``compare`` names it is the t-test over seeds."""
    return bool(test and test.startswith(OVER_SEEDS))


def over_seeds(first: Seeds, second: Seeds) -> Difference | None:
    """``first - second`` over the seeds that both have, with the paired t-test; None where they share none."""
    shared = sorted(first.keys() & second.keys())
    return paired_t([first[seed] - second[seed] for seed in shared]) if shared else None


def seedless(first: Seeds, second: Seeds) -> bool:
    """Whether two seeds and more change neither: models that somebody else trained, evaluated without randomness."""
    return all(len(values) > 1 and len(set(values.values())) == 1 for values in (first, second))


def same_images(first: Row, second: Row) -> bool:
    """Whether two rows were evaluated on the same images."""
    rows = first, second
    asked = [as_text([r.name("dataset"), r.params["dataset"], r.params["training"].get("evaluate_on")]) for r in rows]
    seen = [{record.data.fingerprint for record in row.records if record.data} - {None} for row in rows]
    return asked[0] == asked[1] and (seen[0] == seen[1] or not all(seen))
