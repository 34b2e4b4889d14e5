"""Records as text: for a terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from sslbench.report.aggregate import Problem, aggregate
from sslbench.report.comparisons import OVER_SEEDS, SIGNS
from sslbench.report.majority import LEGEND
from sslbench.report.numbers import listed
from sslbench.report.ranking import SIGNIFICANT
from sslbench.report.screen import PAGE
from sslbench.report.sections.curves import best_of_curve
from sslbench.report.text import (
    Block,
    Column,
    fits,
    fitted,
    markdown,
    markdown_page,
    plural,
    terminal,
    terminal_page,
    wrapped,
)
from sslbench.report.view import MARKDOWN, STYLES, Style, View
from sslbench.statistics.images import OVER_RIGHT_AND_WRONG, OVER_SHARES
from sslbench.store.current import Unfinished
from sslbench.store.json_parts import plain
from sslbench.store.record import SCHEMA, Record

CUT, TIGHT = 2, 5
"""places in ``STYLES`` of the style of a table that is cut into several, and of one that lacks columns"""
TESTS = {
    OVER_SEEDS: "a t-test over the seeds that both have, with the deviation of all rows",
    SIGNS: "the signs of a difference that is the same on every seed",
    OVER_RIGHT_AND_WRONG: "McNemar's exact test over the test images of one seed",
    OVER_SHARES: "a bootstrap over the test images of one seed",
}
"""name of a test -> what it is"""
UNTESTED = "untested, for the metric of each image is not kept or the images are others"
REMEDY = "sslbench run --fresh makes it again"
SPEEDS = (
    "img/s: source images per second of training, waiting for data included",
    "step ms (IQR): median time of a training step (interquartile range)",
    "wait %: share of the step spent waiting for images",
    "peak MB: most memory in use during training, 10^6 bytes",
    "MFLOP/img: 10^6 floating-point operations of forward and backward per source image",
    "train s: duration of one pretraining, seconds",
    "embed img/s: images per second of feature extraction",
)


def render(
    records: Sequence[Record],
    fmt: str,
    suite: str,
    folder: Path | None = None,
    superseded: int = 0,
    unfinished: Sequence[Unfinished] = (),
) -> str:
    """The records as text, without a newline at the end. ``fmt``: ``table`` and ``markdown`` have one row a recipe,
    rounded, the best marked; ``csv`` the same rows unrounded (see ``frame.csv_text``); ``json`` has the records.
    ``folder``: where they lie, with the metrics of each image, by which rows of one seed are told apart;
    ``superseded``: how many other records are there; ``unfinished``: what was asked for and is not all there."""
    if fmt == "json":
        all_records = [record.to_json() for record in records]
        left_out: dict[str, Any] = {"superseded": superseded} if superseded else {}
        left_out |= {"unfinished": [vars(item) for item in unfinished]} if unfinished else {}
        document = {"schema": SCHEMA, "suite": suite, **left_out, "records": all_records}
        try:
            return json.dumps(document, indent=1, allow_nan=False)
        except (TypeError, ValueError):  # what was never stored may hold what JSON cannot
            return json.dumps(plain(document, ""), indent=1, allow_nan=False)
    view = View(aggregate(records), folder, unfinished)
    title = view.names.title(suite)
    if fmt == "csv":
        from sslbench.report.frame import csv_text

        return csv_text(view.aggregate)
    if fmt == "markdown":
        tables = ["\n".join(f"- {line}" for line in view.data_lines())]
        tables += [markdown(view.columns(MARKDOWN))] if view.order else []
        tables += [f"**{table}**\n\n{markdown(view.columns_of(table, MARKDOWN))}" for table in view.tables]
        blocks = blocks_below(view, superseded, best="bold", tie="italic")
        return markdown_page(title, tables, [("unfinished", list(map(left_to_run, unfinished))), *blocks])
    tables = ["\n".join(wrapped(line, rest="    ") for line in view.data_lines())]
    tables += [fitting(view.columns)] if view.order else []
    tables += [f"{table}:\n{fitting(partial(view.columns_of, table))}" for table in view.tables]
    blocks = blocks_below(view, superseded, best="*", tie="=")
    return terminal_page(title, tables, [("unfinished", list(map(left_to_run, unfinished))), *blocks])


def left_to_run(item: Unfinished) -> str:
    """``7 of 14 cells have results; 7 are not run yet, this goes on: sslbench run quick``."""
    goes_on = f"this goes on: {item.command}" if item.command else f"suite {item.suite} goes on when it is run again"
    there = item.cells - item.missing
    are = "is" if item.missing == 1 else "are"
    return f"{there:,} of {plural(item.cells, 'cell')} have results; {item.missing:,} {are} not run yet, {goes_on}"


def fitting(columns: Callable[[Style], list[Column]]) -> str:
    """The roomiest table that fits; where none does, one without its least important columns, or, on a page that keeps
    the whole, several with the same rows, one below the other."""
    for style in STYLES:
        text = terminal(columns(style), style.gap, style.broken_headers)
        if fits(text):
            return text
    if not PAGE.get().whole:
        return fitted(columns(STYLES[TIGHT]), "--format csv", roomy=False)
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


def blocks_below(view: View, superseded: int, best: str, tie: str) -> list[Block]:
    """``best`` and ``tie`` say what values are marked with; ``superseded``: how many other records there are."""
    aggregate = view.aggregate
    curve = "best epoch of curve, chosen on the images that it is evaluated on (the table has the last epoch)"
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
        ("", legend(view, best, tie) if view.order else []),
        ("before you believe a figure", view.data_warnings()),
        (curve, best_of_curve(view)),
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
        lines += marks(view, best, tie)
    shared = max((record.at_once for recipe in view.aggregate.recipes for record in recipe.row.records), default=1)
    if shared > 1:
        lines.append(f"speeds: up to {shared} pretrainings shared a device; one that has it for itself is faster")
    return [*lines, *SPEEDS]


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


def problem_in_words(view: View, problem: Problem) -> str:
    """Which cells, what, why."""
    seeds = f"seed{'s' if len(problem.seeds) > 1 else ''} {listed(problem.seeds)}"
    evaluators = f", {', '.join(problem.evaluators)}" if problem.evaluators else ""
    reason = problem.reason or "no reason was given"
    return f"{view.names.recipe(problem.row)}, {seeds}{evaluators}: {problem.status}: {reason}"
