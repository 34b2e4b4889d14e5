"""The answer to the question that a table is made for, in sentences: which recipe is best, by how much over no training
and over the pixels, what is not told apart from it, and what it costs. Each rests on the tests of ``ranking``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sslbench.report.baselines import is_baseline, is_of_pixels
from sslbench.report.costs import cheapest, cost
from sslbench.report.doubts import few_seeds, missing_baselines, no_better_than_constant, unfinished, without_result
from sslbench.report.standing import Standing
from sslbench.report.text import first_names, plural
from sslbench.report.view import View

MOST_NAMED = 3
"""rows, metrics or backbones that a sentence names; others are counted"""
MOST_DATASETS = 5
"""that have a sentence of their own"""


def answer(view: View) -> list[str]:
    """Sentences, the first of which answers the question."""
    datasets: dict[str, list[int]] = {}
    for row in view.order:
        datasets.setdefault(view.names.of_kind["dataset"][row], []).append(row)
    groups = list(datasets.values())
    failed = [*unfinished(view), *without_result(view)]
    if len(groups) < 2:
        return [*(of_dataset(view, groups[0]) if groups else [nothing(view)]), *failed]
    lines = [next(of_dataset(view, rows)) for rows in groups[:MOST_DATASETS]]
    if len(groups) > MOST_DATASETS:
        lines.append(f"{len(groups) - MOST_DATASETS} more data sets are in the table.")
    standings = filter(None, (standing_of(view, rows) for rows in groups))
    return [*lines, *dict.fromkeys(line for one in standings for line in few_seeds(one)), *failed]


def nothing(view: View) -> str:
    """Where there is no row."""
    if skipped := sum(view.aggregate.skipped.values()):
        return f"There are no results: {plural(skipped, 'cell')} of plugins that do not work together."
    return "There are no results."


def standing_of(view: View, rows: Sequence[int]) -> Standing | None:
    """Of one data set, in the metric that it is ranked by."""
    metric = view.ranking.first_metric(rows)
    return Standing.of(view, metric, rows) if metric else None


def of_dataset(view: View, rows: Sequence[int]) -> Iterator[str]:
    """Sentences about the rows of one data set."""
    standing = standing_of(view, rows)
    if standing is None:
        yield unranked(view, rows)
        return
    if is_baseline(standing.recipe(standing.best)):
        yield from baseline_first(standing)
    else:
        yield f"{method_first(standing)}: {', '.join(facts_of_first(standing))} ({standing.evidence})."
        yield from not_told_apart(standing)
    yield from no_better_than_constant(standing)
    yield from cost(standing)
    yield from other_backbones(standing)
    yield from other_metrics(standing)
    yield from missing_baselines(standing)
    yield from few_seeds(standing)


def unranked(view: View, rows: Sequence[int]) -> str:
    """Where nothing says which row is better."""
    start = f"Nothing can be said of {view.names.of_kind['dataset'][rows[0]]}"
    records = [record for row in rows for record in view.aggregate.recipes[row].row.records]
    if not any(record.finished for record in records):
        counts = Counter(record.status for record in records)
        return f"{start}: no cell is done ({', '.join(f'{count:,} {status}' for status, count in counts.items())})."
    measured = [m.label for m in view.aggregate.metrics if any(view.ranking.means(m)[row] is not None for row in rows)]
    if not measured:
        return f"{start}: no metric was measured."
    return f"{start} but what is in the table: of {first_names(measured)} neither more nor less is better."


def method_first(standing: Standing) -> str:
    """Which row is first, and of how many."""
    own, ties = standing.own, [row for row in standing.ties if row in standing.own]
    name, rivals = standing.name(standing.best), f"{plural(len(own), standing.noun)} on {standing.dataset}"
    if len(own) == 1:
        return f"{name} on {standing.dataset}"
    if any(row in own for row in standing.untested):
        return f"{name} comes first of {rivals}, and whether by chance is not tested"
    if len(ties) == len(own) - 1:
        return f"No test tells the {rivals} apart; {name} comes first"
    if ties:
        return f"{name} comes first of {rivals}, not told apart from {plural(len(ties), 'other')}"
    return f"{name} is the best of {rivals}"


def facts_of_first(standing: Standing) -> list[str]:
    """The value of the best row, no training and the pixels beside it, and what makes it worthless."""
    collapsed = ["its features collapsed"] if "collapsed" in standing.recipe(standing.best).status else []
    baselines = [standing.beside(row) for row in standing.baselines if row is not None]
    return ["; ".join([f"{standing.metric.label} {standing.value(standing.best)}", *baselines, *collapsed])]


def baseline_first(standing: Standing) -> Iterator[str]:
    """Where nothing is ahead of a row that no training made."""
    own, name = standing.own, standing.name(standing.best)
    value = f"{standing.metric.label} {standing.value(standing.best)} ({standing.evidence})"
    if not own:
        yield f"Nothing but baselines was measured on {standing.dataset}; the first is {name}: {value}."
        return
    yield f"No {standing.noun} on {standing.dataset} is better than {name}: {value}."
    ties = sum(row in standing.ties for row in own)
    untested = sum(row in standing.untested for row in own)
    counts = {"not told apart from it": ties, "not tested": untested, "worse": len(own) - ties - untested}
    words = ", ".join(f"{count:,} {'is' if count == 1 else 'are'} {what}" for what, count in counts.items() if count)
    networks = [row for row in standing.rows if not is_of_pixels(standing.recipe(row))]
    among = Standing.of(standing.view, standing.metric, networks)
    beside = among.beside(among.baselines[0]) if among and among.best == own[0] and among.baselines[0] else ""
    first = "; ".join(filter(None, [f"{standing.name(own[0])} with {standing.value(own[0])}", beside]))
    yield f"Of {plural(len(own), standing.noun)} {words}; the first is {first}."


def not_told_apart(standing: Standing) -> Iterator[str]:
    """The rows that may be as good, and the cheapest of them."""
    ties = [row for row in standing.ties if row not in standing.baselines]
    if ties:
        names = first_names([f"{standing.name(row)} {standing.value(row)}" for row in ties], MOST_NAMED)
        yield f"Not told apart from it: {names}."
    yield from cheapest(standing, [row for row in standing.own if row == standing.best or row in ties])


def other_backbones(standing: Standing) -> Iterator[str]:
    """The best on each other network, beside no training of the same one."""
    networks, own = standing.view.names.of_kind["backbone"], standing.own
    others = list(dict.fromkeys(networks[row] for row in own if networks[row] != networks[own[0]]))
    others = [network for network in others if network]
    for network in others[:MOST_NAMED]:
        rows = [row for row in standing.rows if networks[row] == network]
        there = Standing.of(standing.view, standing.metric, rows)
        if there is not None and is_baseline(there.recipe(there.best)):
            yield f"On {network} nothing is better than {there.name(there.best)}: {there.value(there.best)}."
        elif there is not None and there.baselines[0] is not None:
            first = f"{there.name(there.best)} with {there.value(there.best)}"
            yield f"On {network} the first is {first}; {there.beside(there.baselines[0])}."
    if len(others) > MOST_NAMED:
        yield f"{len(others) - MOST_NAMED} more backbones are in the table."


def other_metrics(standing: Standing) -> Iterator[str]:
    """Headlines of other evaluators by which the first row is told apart from another, for the worse."""
    headlines = {record.headline for row in standing.rows for record in standing.recipe(row).row.records}
    picks = []
    for metric in standing.view.aggregate.metrics:
        ranks = metric.name in headlines and metric.higher_is_better is not None and metric != standing.metric
        other = Standing.of(standing.view, metric, standing.rows) if ranks else None
        one = other.compared.get(standing.best) if other else None
        if other and one and one.test is not None and not one.tie:
            picks.append(f"{metric.label} ({other.name(other.best)}, better by {other.lead(standing.best)})")
    if picks:
        yield f"Another comes first by {first_names(picks, MOST_NAMED)}."
