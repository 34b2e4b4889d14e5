"""The best of each metric against every other recipe: difference, interval, p, and what the p rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sslbench.report.comparisons import OVER_SEEDS, same_images
from sslbench.report.numbers import NOTHING, fixed
from sslbench.report.ranking import SIGNIFICANT, Comparison
from sslbench.report.text import Column, Section
from sslbench.report.view import View

TITLE = "pairs: each recipe against the best of its metric"
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
    p_corrected: float | None
    """corrected for all pairs of this metric and data set that the best could have been one of; over seeds with the
    deviation of all rows"""
    n: int
    test: str | None
    """its name and its number of seeds or images"""
    verdict: str = UNTESTED
    """or ``tie`` or ``worse``"""


def pairs(view: View) -> Section:
    """A line for each metric and recipe that is not the best one."""
    compared: list[Pair] = []
    left_out = 0
    recipes, names = view.aggregate.recipes, view.names
    for metric in view.aggregate.metrics:
        for one in view.ranking.compared(metric):
            if not same_images(recipes[one.other].row, recipes[one.best].row):
                left_out += 1
                continue
            words = (names.of_kind["dataset"][one.best], names.recipe(one.best), names.recipe(one.other))
            compared.append(pair_of(one, metric.label, *words))
    if not compared:
        return Section(f"{TITLE}: fewer than two recipes to compare")
    damaged = [f"left out: {line}; sslbench run --fresh makes it again" for line in view.ranking.damaged]
    places = {metric.label: view.ranking.decimals(metric) for metric in view.aggregate.metrics}
    rows = [vars(pair) for pair in compared]
    return Section(TITLE, rows, columns_of(compared, places), [*notes(compared, left_out), *damaged])


def pair_of(one: Comparison, metric: str, dataset: str, best: str, other: str) -> Pair:
    """A comparison in words."""
    result, verdict = one.difference, UNTESTED if one.test is None else "tie" if one.tie else "worse"
    return Pair(
        metric=metric,
        dataset=dataset,
        best=best,
        other=other,
        difference=result.mean,
        low=result.low,
        high=result.high,
        p=result.p,
        p_corrected=one.corrected,
        n=result.n,
        test=one.test,
        verdict=verdict,
    )


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
        Column("95% interval", [signed(pair, pair.low, pair.high) for pair in compared], number=True, rank=2),
        Column("p", [probability(pair.p) for pair in compared], number=True, rank=3),
        Column("p corrected", [probability(pair.p_corrected) for pair in compared], number=True, rank=1),
        Column("test", [pair.test or NOTHING for pair in compared], rank=4),
        Column("verdict", [pair.verdict for pair in compared]),
    ]


def notes(compared: Sequence[Pair], left_out: int) -> list[str]:
    """What to know about these pairs. ``left_out``: recipes that were not compared."""
    lines = [
        f"tie: p at least {SIGNIFICANT:g} corrected for the pairs of one metric and data set; that a"
        " difference is not seen does not say that there is none"
    ]
    tests = {str(pair.test).partition(" (")[0] for pair in compared}
    if OVER_SEEDS in tests:
        lines.append(
            f"{OVER_SEEDS}: the same seeds and test images for both; tells what other seeds would show; p corrected"
            " goes by the deviation of all rows"
        )
    if any("images" in test for test in tests):
        lines.append(
            "over images: two trained models, one seed of each, on the same test images; tells nothing of other seeds"
            " (run more with --seeds 0,1,2)"
        )
    if any(pair.test is None for pair in compared):
        lines.append(
            f"{UNTESTED}: fewer than two seeds in common (or seeds that change nothing), and the metric of each image"
            " is not kept"
        )
    lines.append("the best was chosen by these very numbers: the correction counts all pairs that it could have been")
    if left_out:
        lines.append(f"{left_out} left out: evaluated on other images than the best")
    return lines
