"""What stands below the main table: what is not done, not measured, left out, or to be known of the data."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench.report.aggregate import Problem
from sslbench.report.numbers import listed
from sslbench.report.text import Block, plural
from sslbench.report.view import View

REMEDY = "sslbench run --fresh makes it again"
MOST_LINES = 5
"""of a block that is brief"""


def problems_below(view: View, superseded: int) -> list[Block]:
    """What one has to know before one believes the table; ``superseded``: how many other records there are."""
    aggregate = view.aggregate
    left_out = [f"{count} unreadable images of {name}" for name, count in aggregate.images_skipped.items()]
    if superseded:
        what = f"{plural(superseded, 'record')} of other code or data than the last run asked for"
        left_out.append(f"{what} (--superseded prints them)")
    if aggregate.older:
        left_out.append(f"{aggregate.older} records of cells that were made again later (--format json has all)")
    left_out += [f"{line}; {REMEDY}" for line in view.ranking.damaged]
    unmeasured = [
        f"{metric}, {plural(count, 'cell')}: {reason}" for (metric, reason), count in aggregate.unmeasured.items()
    ]
    return [
        ("before you believe a figure", view.data_warnings()),
        ("not done", [problem_in_words(view, problem) for problem in aggregate.problems]),
        ("not measured", unmeasured),
        ("skipped", [f"{plural(count, 'cell')}: {reason}" for reason, count in aggregate.skipped.items()]),
        ("left out", left_out),
        ("weights of others", weights_of_others(view)),
    ]


def weights_of_others(view: View) -> list[str]:
    """A line for each set of weights that somebody else trained: licence, and what of their input is a guess."""
    records = [record for recipe in view.aggregate.recipes for record in recipe.row.records]
    lines = []
    for weights in filter(None, (record.weights for record in records)):
        guessed = [part for part, origin in weights.input_from.items() if origin == "guess"]
        parts = [f"licence {weights.licence_in_words}", *([f"{', '.join(guessed)} are a guess"] if guessed else [])]
        lines.append(f"{weights.source}: {'; '.join(parts)}")
    return list(dict.fromkeys(lines))


def problem_in_words(view: View, problem: Problem) -> str:
    """Which cells, what, why."""
    seeds = f"seed{'s' if len(problem.seeds) > 1 else ''} {listed(problem.seeds)}"
    evaluators = f", {', '.join(problem.evaluators)}" if problem.evaluators else ""
    reason = problem.reason or "no reason was given"
    return f"{view.names.recipe(problem.row)}, {seeds}{evaluators}: {problem.status}: {reason}"


def briefly(blocks: Sequence[Block]) -> list[Block]:
    """The blocks, of each the first lines, the others counted."""
    short = []
    for heading, lines in blocks:
        rest = len(lines) - MOST_LINES
        short.append((heading, lines if rest < 2 else [*lines[:MOST_LINES], f"and {rest:,} more (--details has all)"]))
    return short
