"""The best of each metric against every other recipe: difference, interval, p, and what the p rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslbench.report.aggregate import Quality
from sslbench.report.text import Column
from sslbench.report.numbers import NOTHING, decimals, fixed
from sslbench.report.rows import Record, Row, as_text
from sslbench.report.sections.render import Section
from sslbench.report.ties import SIGNIFICANT, over_seeds
from sslbench.report.view import View
from sslbench.statistics.images import all_finite, compare_images
from sslbench.statistics.student import Difference, holm
from sslbench.store.artifacts import pretraining_files, read_per_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

OVER_SEEDS = "paired t over seeds"
UNTESTED = "not tested"


@dataclass
class Pair:
    """One recipe against the best of its data set."""

    quality: Quality
    best: int
    other: int
    difference: Difference
    """other - best, in units of the metric"""
    test: str
    """empty where nothing was tested"""
    corrected: float | None = None
    """p after Holm's correction for all others of this metric and data set that were tested in the same way"""

    @property
    def verdict(self) -> str:
        if self.corrected is None:
            return UNTESTED
        return "tie" if self.corrected >= SIGNIFICANT else "worse"


def pairs(view: View, folder: Path) -> Section:
    """A line for each metric and recipe that is not the best one. ``folder``: holds the metrics of each image."""
    found: list[Pair] = []
    left_out = 0
    for quality in (one for one in view.found.qualities if one.higher_is_better is not None):
        for best, *others in view.rivals(quality):
            same = [row for row in others if judged_on(view.found.rows[row]) == judged_on(view.found.rows[best])]
            left_out += len(others) - len(same)
            group = [compared(view, quality, best, row, folder) for row in same]
            correct(group)
            found += group
    title = "pairs: each recipe against the best of its metric"
    if not found:
        return Section(f"{title}: fewer than two recipes to compare", [], [], [])
    return Section(title, [as_row(view, pair) for pair in found], columns_of(view, found), notes(found, left_out))


def judged_on(row: Row) -> str:
    """What two rows must share to have been judged on the same images."""
    return as_text([row.name("dataset"), row.params["dataset"], row.params["training"].get("evaluate_on")])


def compared(view: View, quality: Quality, best: int, other: int, folder: Path) -> Pair:
    """Over seeds where two or more are shared and their differences vary, else over the test images of one seed."""
    values, label = view.found.values, quality.label
    whole = over_seeds(values[other, label], values[best, label])
    if whole is not None and whole.p is not None:
        return Pair(quality, best, other, whole, f"{OVER_SEEDS} ({whole.n})")
    sources = view.found.sources
    for seed in sorted(sources[other, label].keys() & sources[best, label].keys()):
        first, second = (images_of(sources[row, label][seed], quality.name, folder) for row in (other, best))
        if first is not None and second is not None and len(first) == len(second):
            difference, test = compare_images(first, second)
            return Pair(quality, best, other, difference, f"{test} ({difference.n:,})")
    if whole is not None:
        return Pair(quality, best, other, whole, "")
    means = (view.found.lines[row][f"{label}_mean"] for row in (other, best))
    mean = next(means) - next(means)
    return Pair(quality, best, other, Difference(mean, None, None, None, 0), "")


def images_of(record: Record, metric: str, folder: Path) -> NDArray[Any] | None:
    """The metric of each test image, or None where it is not kept or one of them has none."""
    key = (record.get("pretraining") or {}).get("key")
    found = read_per_image(pretraining_files(folder, key).per_image(record["cell"])).get(metric) if key else None
    return None if found is None or not all_finite(found) else found


def correct(group: Sequence[Pair]) -> None:
    by_test: dict[str, list[Pair]] = {}
    for pair in group:
        if pair.difference.p is not None:
            by_test.setdefault(pair.test.partition(" (")[0], []).append(pair)
    for tested in by_test.values():
        for pair, p in zip(tested, holm([pair.difference.p or 0.0 for pair in tested]), strict=True):
            pair.corrected = p


def columns_of(view: View, found: Sequence[Pair]) -> list[Column]:
    places = {pair.quality.label: decimals(view.means(pair.quality)) for pair in found}

    def signed(pair: Pair, value: float | None) -> str:
        return NOTHING if value is None else f"{value:+.{places[pair.quality.label]}f}"

    def interval(pair: Pair) -> str:
        ends = dict.fromkeys(signed(pair, value) for value in (pair.difference.low, pair.difference.high))
        return " to ".join(ends)

    return [
        Column("metric", [pair.quality.label for pair in found]),
        Column("best", [view.recipe(pair.best) for pair in found]),
        Column("other", [view.recipe(pair.other) for pair in found]),
        Column("other - best", [signed(pair, pair.difference.mean) for pair in found], number=True),
        Column("95% interval", [interval(pair) for pair in found], number=True),
        Column("p", [probability(pair.difference.p) for pair in found], number=True),
        Column("p (Holm)", [probability(pair.corrected) for pair in found], number=True),
        Column("test", [pair.test or NOTHING for pair in found]),
        Column("verdict", [pair.verdict for pair in found]),
    ]


def probability(p: float | None) -> str:
    if p is None:
        return NOTHING
    return fixed(p, 3) if p >= 0.001 else "<0.001"


def notes(found: Sequence[Pair], left_out: int) -> list[str]:
    lines = [
        f"tie: p at least {SIGNIFICANT:g} after Holm's correction for the recipes of one metric and data set; that a"
        " difference is not seen does not say that there is none"
    ]
    if any(pair.test.startswith(OVER_SEEDS) for pair in found):
        lines.append(f"{OVER_SEEDS}: the same seeds and test images for both; tells what other seeds would show")
    if any("images" in pair.test for pair in found):
        lines.append(
            "over images: two trained models, one seed of each, on the same test images; tells nothing of other seeds"
            " (run more with --seeds 0,1,2)"
        )
    if any(not pair.test for pair in found):
        lines.append(
            f"{UNTESTED}: fewer than two seeds in common (or no spread), and the metric of each image is not kept"
        )
    lines.append("the best was chosen by these very figures, which favours it a little")
    if left_out:
        lines.append(f"{left_out} left out: judged on other images than the best")
    return lines


def as_row(view: View, pair: Pair) -> Mapping[str, Any]:
    difference = pair.difference
    return {
        "metric": pair.quality.label,
        "dataset": view.names["dataset"][pair.best],
        "best": view.recipe(pair.best),
        "other": view.recipe(pair.other),
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "p": difference.p,
        "p_holm": pair.corrected,
        "n": difference.n,
        "test": pair.test or None,
        "verdict": pair.verdict,
    }
