"""Records as text: for a terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile

from sslbench.report.aggregate import Problem, aggregate
from sslbench.report.majority import LEGEND
from sslbench.report.numbers import listed
from sslbench.report.sections.curves import best_of_curve
from sslbench.report.text import (
    Block,
    Column,
    fits,
    markdown,
    markdown_page,
    plural,
    terminal,
    terminal_page,
    wrapped,
)
from sslbench.report.view import MARKDOWN, STYLES, Style, View
from sslbench.store.json_parts import plain
from sslbench.store.record import SCHEMA, Record

CUT = 2
"""place in ``STYLES`` of the style of a table that is cut into several"""
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


def render(records: Sequence[Record], fmt: str, suite: str) -> str:
    """The records as text, without a newline at the end. ``fmt``: ``table`` and ``markdown`` have one row a recipe,
    rounded, the best marked; ``csv`` the same rows unrounded (see ``frame.data_frame``); ``json`` has the records."""
    if fmt == "json":
        document = {"schema": SCHEMA, "suite": suite, "records": [record.to_json() for record in records]}
        try:
            return json.dumps(document, indent=1, allow_nan=False)
        except (TypeError, ValueError):  # what was never stored may hold what JSON cannot
            return json.dumps(plain(document, ""), indent=1, allow_nan=False)
    view = View(aggregate(records))
    title = view.names.title(suite)
    if fmt == "csv":
        from sslbench.report.frame import data_frame

        return str(data_frame(view.aggregate).to_csv(index=False, lineterminator="\n")).rstrip("\n")
    if fmt == "markdown":
        tables = ["\n".join(f"- {line}" for line in view.data_lines())]
        tables += [markdown(view.columns(MARKDOWN))] if view.order else []
        tables += [f"**{table}**\n\n{markdown(view.columns_of(table, MARKDOWN))}" for table in view.tables]
        return markdown_page(title, tables, blocks_below(view, best="bold", tie="italic"))
    tables = ["\n".join(wrapped(line, rest="    ") for line in view.data_lines())]
    tables += [fitting(view.columns)] if view.order else []
    tables += [f"{table}:\n{fitting(partial(view.columns_of, table))}" for table in view.tables]
    return terminal_page(title, tables, blocks_below(view, best="*", tie="="))


def fitting(columns: Callable[[Style], list[Column]]) -> str:
    """The roomiest table that fits; where none does, several with the same rows, one below the other."""
    for style in STYLES:
        text = terminal(columns(style), style.gap, style.broken_headers)
        if fits(text):
            return text
    roomy = STYLES[CUT]
    groups = cut(columns(roomy), roomy)
    return "\n\n".join(terminal(group, roomy.gap, roomy.broken_headers) for group in groups)


def cut(columns: Sequence[Column], style: Style) -> list[list[Column]]:
    """The columns in groups that fit, each with those on the left that say what a row is about."""
    words = list(takewhile(lambda column: not column.number, columns))
    groups: list[list[Column]] = [list(words)]
    for column in columns[len(words) :]:
        wider = [*groups[-1], column]
        if len(groups[-1]) > len(words) and not fits(terminal(wider, style.gap, style.broken_headers)):
            wider = [*words, column]
            groups.append(wider)
        groups[-1] = wider
    return groups


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
        ("before you believe a figure", view.data_warnings()),
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
    if view.majorities:
        lines.append(LEGEND)
    if seeds:
        lines.append(f"±: standard deviation over {listed(seeds)} seeds")
    if draws:
        lines.append(f"± with a d: one seed; standard deviation over {listed(draws)} draws inside the evaluator")
    if any(ranking.best.values()):
        lines.append(f"{best}: best of its column on a data set")
    if any(ranking.ties.values()):
        most = max(recipe.seeds for recipe in view.aggregate.recipes)
        few = "; two seeds tell hardly anything apart: run more" if most == 2 else ""
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
