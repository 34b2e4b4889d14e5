"""The lines below a table: what its words mean, and what is not in it."""

from __future__ import annotations

from sslbench.report.aggregate import Problem
from sslbench.report.numbers import listed
from sslbench.report.sections.curves import best_of_curve
from sslbench.report.text import Block, plural
from sslbench.report.view import View

NOT_TOLD_APART = (
    "paired t-test over seeds that both have, p at least 0.05 after Holm's correction; where these are fewer than two:"
    " within the best one's ±"
)
SPEEDS = (
    "img/s: source images per second of training, waiting for data included",
    "step ms (IQR): median time of a training step (interquartile range)",
    "wait %: share of the step spent waiting for images",
    "peak MB: most memory in use during training, 10^6 bytes",
    "MFLOP/img: 10^6 floating-point operations of forward and backward per source image",
    "train s: duration of one pretraining, seconds",
    "embed img/s: images per second of feature extraction",
)
"""what the columns of speed and cost mean"""


def blocks_below(view: View, best: str, tie: str) -> list[Block]:
    """``best`` and ``tie`` say what values are marked with."""
    aggregate = view.aggregate
    curve = "best epoch of curve, chosen on the images that it is evaluated on (the table has the last epoch)"
    left_out = [f"{count} unreadable images of {name}" for name, count in aggregate.images_skipped.items()]
    if aggregate.older:
        left_out.append(f"{aggregate.older} records of cells that were made again later (--format json has all)")
    unmeasured = [
        f"{metric}, {plural(count, 'cell')}: {reason}" for (metric, reason), count in aggregate.unmeasured.items()
    ]
    return [
        ("", legend(view, best, tie) if view.order else []),
        (curve, best_of_curve(view)),
        ("not done", [problem_in_words(view, problem) for problem in aggregate.problems]),
        ("not measured", unmeasured),
        ("skipped", [f"{plural(count, 'cell')}: {reason}" for reason, count in aggregate.skipped.items()]),
        ("left out", left_out),
    ]


def legend(view: View, best: str, tie: str) -> list[str]:
    """What the marks, the metrics and the other columns of the main table mean."""
    ranking = view.ranking
    lines = []
    for better, words in ((True, "higher is better"), (False, "lower is better"), (None, "neither is better")):
        columns = [column for column in view.aggregate.metrics if column.higher_is_better is better]
        if names := [f"{column.label} [{column.unit}]" if column.unit else column.label for column in columns]:
            lines.append(f"{', '.join(names)}: {words}")
    spreads = [recipe.spread(column.label) for column in view.aggregate.metrics for recipe in view.aggregate.recipes]
    seeds = {spread.n or 0 for spread in spreads if spread and spread.over == "seeds"}
    draws = {spread.n or 0 for spread in spreads if spread and spread.over == "draws"}
    if seeds:
        lines.append(f"±: standard deviation over {listed(seeds)} seeds")
    if draws:
        lines.append(f"± with a d: one seed; standard deviation over {listed(draws)} draws inside the evaluator")
    if any(ranking.best.values()):
        lines.append(f"{best}: best of its column on a data set")
    if any(ranking.ties.values()):
        few = "; two seeds tell hardly anything apart: run more" if ranking.seeds == 2 else ""
        lines.append(f"{tie}: not told apart from the best ({NOT_TOLD_APART}{few})")
    if ranking.seedless:
        lines.append(
            f"two values that are the same on every seed are not tested: no {tie}; --pairs does it over images"
        )
    return [*lines, *SPEEDS]


def problem_in_words(view: View, problem: Problem) -> str:
    """Which cells, what, why."""
    seeds = f"seed{'s' if len(problem.seeds) > 1 else ''} {listed(problem.seeds)}"
    evaluators = f", {', '.join(problem.evaluators)}" if problem.evaluators else ""
    reason = problem.reason or "no reason was given"
    return f"{view.names.recipe(problem.row)}, {seeds}{evaluators}: {problem.status}: {reason}"
