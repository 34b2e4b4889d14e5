"""The lines below a table: what its words mean, and what is not in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sslbench.report.aggregate import Problem, Quality
from sslbench.report.numbers import listed
from sslbench.report.sections.curves import best_of_curve
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


@dataclass(frozen=True)
class Block:
    """Lines under a heading; the legend has none."""

    heading: str
    lines: Sequence[str]


def below(view: View, best: str, tie: str) -> list[Block]:
    """All blocks that have something to say. ``best`` and ``tie`` say what values are marked with."""
    found = view.found
    blocks = [
        Block("", legend(view, best, tie) if view.order else []),
        Block("best epoch of curve, chosen on the judged images (the table has the last epoch)", best_of_curve(view)),
        Block("not done", [told(view, problem) for problem in found.problems]),
        Block(
            "not measured",
            [f"{metric}, {cells(count)}: {why}" for (metric, why), count in found.unmeasured.items()],
        ),
        Block("skipped", [f"{cells(count)}: {reason}" for reason, count in found.skipped.items()]),
        Block("left out", left_out(view)),
    ]
    return [block for block in blocks if block.lines]


def legend(view: View, best: str, tie: str) -> list[str]:
    lines = []
    for better, words in ((True, "higher is better"), (False, "lower is better"), (None, "neither is better")):
        names = [with_unit(q) for q in view.found.qualities if q.higher_is_better is better]
        if names:
            lines.append(f"{', '.join(names)}: {words}")
    lines += spreads(view)
    if any(view.best.values()):
        lines.append(f"{best}: best of its column on a data set")
    if any(view.ties.values()):
        few = "; two seeds tell hardly anything apart: run more" if view.seeds == 2 else ""
        lines.append(f"{tie}: not told apart from the best ({NOT_TOLD_APART}{few})")
    if view.seedless:
        lines.append(
            f"two values that are the same on every seed are not tested: no {tie}; --pairs does it over images"
        )
    return [*lines, *SPEEDS]


def spreads(view: View) -> list[str]:
    """What stands behind a ±."""
    found = [view.spread(quality, row) for quality in view.found.qualities for row in view.order]
    seeds = {spread[2] for spread in found if spread and spread[1] == "seeds"}
    draws = {spread[2] for spread in found if spread and spread[1] == "draws"}
    lines = []
    if seeds:
        lines.append(f"±: standard deviation over {listed(seeds)} seeds")
    if draws:
        lines.append(f"± with a d: one seed; standard deviation over {listed(draws)} draws inside the evaluator")
    return lines


def told(view: View, problem: Problem) -> str:
    """Which cells, what, why."""
    who = " ".join(filter(None, (view.names[kind][problem.row] for kind in view.kept)))
    seeds = f"seed{'s' if len(problem.seeds) > 1 else ''} {listed(problem.seeds)}"
    judges = f", {', '.join(problem.evaluators)}" if problem.evaluators else ""
    return f"{who}, {seeds}{judges}: {problem.status}: {problem.reason or 'no reason was given'}"


def left_out(view: View) -> list[str]:
    lines = [f"{count} unreadable images of {name}" for name, count in view.found.images_skipped.items()]
    if view.found.older:
        lines.append(f"{view.found.older} records of cells that were made again later (--format json has all)")
    return lines


def with_unit(quality: Quality) -> str:
    return f"{quality.label} [{quality.unit}]" if quality.unit else quality.label


def cells(count: int) -> str:
    return f"{count} cell{'s' if count != 1 else ''}"
