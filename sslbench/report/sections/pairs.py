"""The best of each metric against every other recipe: difference, interval, p, and what the p rests on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sslbench.report.numbers import NOTHING, fixed
from sslbench.report.sections.paired import OVER_SEEDS, UNTESTED, Pair, compare_rivals
from sslbench.report.sections.section import Section
from sslbench.report.text import Column
from sslbench.report.ties import SIGNIFICANT
from sslbench.report.view import View

TITLE = "pairs: each recipe against the best of its metric"


def pairs(view: View, folder: Path) -> Section:
    """A line for each metric and recipe that is not the best one. ``folder``: holds the metrics of each image."""
    compared: list[Pair] = []
    left_out = 0
    for metric in view.aggregate.metrics:
        if metric.higher_is_better is None:
            continue
        for rivals in view.ranking.rivals(metric):
            group = compare_rivals(view.aggregate.recipes, metric, rivals, folder)
            left_out += len(rivals) - 1 - len(group)
            compared += group
    if not compared:
        return Section(f"{TITLE}: fewer than two recipes to compare")
    rows = [as_row(view, pair) for pair in compared]
    return Section(TITLE, rows, columns_of(view, compared), notes(compared, left_out))


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
