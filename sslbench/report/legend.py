"""What the marks and the columns of the main table mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sslbench.report.comparisons import OVER_SEEDS, SIGNS
from sslbench.report.majority import LEGEND
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import listed
from sslbench.report.ranking import SIGNIFICANT
from sslbench.report.text import Column
from sslbench.report.view import View
from sslbench.statistics.images import OVER_RIGHT_AND_WRONG, OVER_SHARES

TESTS = {
    OVER_SEEDS: "a t-test over the seeds that both have, with the deviation of all rows",
    SIGNS: "the signs of a difference that is the same on every seed",
    OVER_RIGHT_AND_WRONG: "McNemar's exact test over the test images of one seed",
    OVER_SHARES: "a bootstrap over the test images of one seed",
}
"""name of a test -> what it is"""
UNTESTED = "untested, for the metric of each image is not kept or the images are others"
BRIEF_TESTS = {
    OVER_SEEDS: "test over seeds",
    SIGNS: "test over seeds",
    OVER_RIGHT_AND_WRONG: "test over images",
    OVER_SHARES: "test over images",
    None: "or not tested",
}
"""the same in a few words"""
SPEEDS = {
    "img/s": "source images per second of training, waiting for data included",
    "step ms (IQR)": "median time of a training step (interquartile range)",
    "wait %": "share of the step spent waiting for images",
    "peak MB": "most memory in use during training, 10^6 bytes",
    "MFLOP/img": "10^6 floating-point operations of forward and backward per source image",
    "J/img": "joules of the GPU's card, or of the processors' packages, per source image of training",
    "train s": "duration of one pretraining, seconds",
    "embed img/s": "images per second of feature extraction",
}
"""header of a column -> what it is"""
BRIEFLY = {
    "img/s": "images/s of training",
    "train s": "seconds of one pretraining",
    "embed img/s": "images/s of feature extraction",
    "peak MB": "memory of training",
}
"""the same of those that a brief table has"""


def of_speeds(headers: Iterable[str]) -> list[str]:
    """What those of these columns that are of speed and cost mean."""
    return [f"{header}: {SPEEDS[header]}" for header in headers if header in SPEEDS]


def legend(view: View, best: str, tie: str) -> list[str]:
    """What the marks and the metrics mean."""
    ranking = view.ranking
    lines = directions(view.aggregate.metrics)
    spreads = [recipe.spread(column.label) for column in view.aggregate.metrics for recipe in view.aggregate.recipes]
    seeds = {spread.n or 0 for spread in spreads if spread and spread.over == "seeds"}
    draws = {spread.n or 0 for spread in spreads if spread and spread.over == "draws"}
    if view.majorities:
        lines.append(LEGEND)
    if seeds:
        lines.append(f"±: standard deviation over {listed(seeds)} seeds")
    if draws:
        lines.append(f"± with a d: one seed; standard deviation over {listed(draws)} draws inside the evaluator")
    if any(ranking.best.values()):
        lines += marks(view, best, tie)
    lines += shared_devices(view)
    return lines


def marks(view: View, best: str, tie: str) -> list[str]:
    """What the best values are marked with, those that are not told apart from them, and by which tests."""
    ranking = view.ranking
    tests = [words for test, words in TESTS.items() if test in ranking.tests]
    tested = f"{', else '.join(tests)}; p at least {SIGNIFICANT:g} corrected for all pairs"
    if None in ranking.tests:
        tested = "; ".join([*([tested] if tests else []), UNTESTED])
    told_apart = "" if any(ranking.ties.values()) else f"; all others are told apart from it ({tested})"
    lines = [f"{best}: best of its column on a data set{told_apart}"]
    if not told_apart:
        most = max(recipe.seeds for recipe in view.aggregate.recipes)
        few = "; two seeds tell hardly anything apart: run more" if most == 2 else ""
        lines.append(f"{tie}: not told apart from the best ({tested}{few})")
    if ranking.tests & {OVER_RIGHT_AND_WRONG, OVER_SHARES}:
        lines.append("over test images: says nothing of other seeds (--seeds 0,1,2 runs more)")
    return lines


def directions(metrics: Iterable[MetricColumn], exceptions: bool = False) -> list[str]:
    """A line for metrics of which more is better, one for less, one for neither; or of the last two alone."""
    lines = []
    for better, words in ((True, "higher is better"), (False, "lower is better"), (None, "neither is better")):
        own = [metric for metric in metrics if metric.higher_is_better is better]
        if names := [f"{metric.label} [{metric.unit}]" if metric.unit else metric.label for metric in own]:
            lines += [] if exceptions and better else [f"{', '.join(names)}: {words}"]
    return lines


def shared_devices(view: View) -> list[str]:
    """A line where trainings were slower than they are alone."""
    shared = max((record.at_once for recipe in view.aggregate.recipes for record in recipe.row.records), default=1)
    if shared < 2:
        return []
    return [f"speeds: up to {shared} pretrainings shared a device; one that has it for itself is faster"]


def brief_legend(view: View, columns: Sequence[Column]) -> list[str]:
    """What is needed to read these columns of the table, in a few lines."""
    headers = {column.header for column in columns}
    metrics = [metric for metric in view.aggregate.metrics if metric.label in headers]
    recipes = view.aggregate.recipes
    spreads = [recipe.spread(metric.label) for metric in metrics for recipe in recipes]
    seeds = {spread.n or 0 for spread in spreads if spread and spread.over == "seeds"}
    signs = []
    if any(view.ranking.best[metric.label] for metric in metrics):
        signs.append("* best of its column")
    if any(view.ranking.ties[metric.label] for metric in metrics):
        tests = dict.fromkeys(words for test, words in BRIEF_TESTS.items() if test in view.ranking.tests)
        signs.append(f"= not told apart from it ({', '.join(tests)})")
    if seeds:
        signs.append(f"± deviation over {listed(seeds)} seeds")
    if any(spread and spread.over == "draws" for spread in spreads):
        signs.append("±...d over draws within one seed")
    words = [f"{header}: {what}" for header, what in BRIEFLY.items() if header in headers]
    words += ["majority: always the most frequent class"] if view.majorities else []
    return [*filter(None, ["; ".join(signs), "; ".join(words)]), *directions(metrics, True), *shared_devices(view)]
