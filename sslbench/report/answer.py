"""The answer to the question that a table is made for, in sentences: which recipe is best, by how much over no training
and over the pixels, what is not told apart from it, and what it costs. Each rests on the tests of ``ranking``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sslbench.report.costs import cheapest, cost
from sslbench.report.doubts import few_seeds, missing_baselines, no_better_than_constant, unfinished, without_result
from sslbench.report.standing import Standing
from sslbench.report.text import first_names, plural
from sslbench.report.view import View

MOST_NAMED = 3
"""rows or backbones that are named; others are counted"""
MOST_METRICS, MOST_DATASETS = 2, 5
"""that have a sentence each"""


def answer(view: View) -> list[str]:
    """Sentences, the first of which answers the question."""
    datasets: dict[str, list[int]] = {}
    for row in view.order:
        datasets.setdefault(view.names.of_kind["dataset"][row], []).append(row)
    groups = list(datasets.values())
    failed = [*unfinished(view), *without_result(view)]
    if len(groups) < 2:
        return [*(of_dataset(view, groups[0]) if groups else [nothing(view)]), *failed]
    return [*of_datasets(view, groups), *failed]


def of_datasets(view: View, groups: Sequence[Sequence[int]]) -> Iterator[str]:
    """Who is first how often, a sentence for each data set, and what to doubt of any; ``groups``: rows of each."""
    known = [standing_of(view, rows) for rows in groups]
    standings = [standing for standing in known if standing is not None]
    firsts = Counter(standing.name(standing.best) for standing in standings).most_common()
    counts = [f"{name} on {count:,}" for name, count in firsts] or ["nothing can be said of any"]
    yield f"First place on {len(groups):,} data sets: {first_names(counts, MOST_NAMED)}."
    for rows, standing in zip(groups[:MOST_DATASETS], known, strict=False):
        yield " ".join([next(of_dataset(view, rows)), *(no_better_than_constant(standing) if standing else [])])
    if len(groups) > MOST_DATASETS:
        yield f"{len(groups) - MOST_DATASETS:,} more data sets are in the table."
    yield from dict.fromkeys(line for one in standings for line in (*missing_baselines(one), *few_seeds(one)))


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
    first, *others = (baseline_first if standing.recipe(standing.best).is_baseline else method_first)(standing)
    yield first
    yield from no_better_than_constant(standing)
    yield from others
    yield from other_metrics(standing)
    yield from other_backbones(standing)
    yield from cost(standing)
    yield from missing_baselines(standing)
    yield from few_seeds(standing)


def unranked(view: View, rows: Sequence[int]) -> str:
    """Where nothing says which row is better."""
    start = f"Nothing can be said of {view.names.of_kind['dataset'][rows[0]] or 'these results'}"
    records = [record for row in rows for record in view.aggregate.recipes[row].row.records]
    if not any(record.finished for record in records):
        counts = Counter(record.status for record in records)
        return f"{start}: no cell is done ({', '.join(f'{count:,} {status}' for status, count in counts.items())})."
    measured = [m.label for m in view.aggregate.metrics if any(view.ranking.means(m)[row] is not None for row in rows)]
    if not measured:
        return f"{start}: no metric was measured."
    return f"{start} but what is in the table: of {first_names(measured)} neither more nor less is better."


def method_first(standing: Standing) -> Iterator[str]:
    """Which row is first, what it is beside no training and the pixels, what may be as good, and the cheapest."""
    best = standing.best
    collapsed = ["its features collapsed"] if "collapsed" in standing.recipe(best).status else []
    baselines = [standing.beside(row) for row in standing.baselines if row is not None]
    rest = ", ".join(filter(None, [" and ".join(baselines), *collapsed, standing.evidence]))
    yield f"{rank_of_best(standing)} {standing.value(best)}, {rest}."
    ties = [row for row in standing.ties if row not in standing.baselines]
    if ties:
        names = first_names([f"{standing.name(row)} {standing.value(row)}" for row in ties], MOST_NAMED)
        yield f"Not told apart from it: {names}."
    alike = {best, *ties}
    yield from cheapest(standing, [row for row in standing.own if row in alike])


def rank_of_best(standing: Standing) -> str:
    """``simclr is the best of 7 methods on digits by knn_top1:``, or weaker words where a test says less."""
    own, name, by = standing.own, standing.name(standing.best), f"by {standing.metric.label}"
    ties, untested = (set(rows) & set(own) for rows in (standing.ties, standing.untested))
    rivals = standing.rivals
    if len(own) == 1:
        return f"{name}{standing.where} has a {standing.metric.label} of"
    if untested:
        what = "nothing could" if len(untested) == len(own) - 1 else f"{len(untested):,} of them could not"
        return f"{name} comes first of {rivals} {by}, which may be chance, for {what} be tested:"
    if len(ties) == len(own) - 1:
        return f"No test tells the {rivals} apart {by}; {name} comes first:"
    if ties:
        return f"{name} comes first of {rivals} {by}, not told apart from {plural(len(ties), 'other')}:"
    return f"{name} is the best of {rivals} {by}:"


def baseline_first(standing: Standing) -> Iterator[str]:
    """Where nothing is ahead of a row that no training made, and what the first of the others is."""
    own, name = standing.own, standing.name(standing.best)
    value = f"by {standing.metric.label}: {standing.value(standing.best)}"
    if not own:
        beside = " and ".join(standing.beside(row) for row in standing.rows[1 : 1 + MOST_NAMED])
        facts = ", ".join(filter(None, [value, beside, standing.evidence]))
        yield f"Nothing but baselines was measured{standing.where}; the first is {name} {facts}."
        return
    yield f"No {standing.noun}{standing.where} is better than {name} {value}, {standing.evidence}."
    ties, untested = (len(set(rows) & set(own)) for rows in (standing.ties, standing.untested))
    counts = {"not told apart from it": ties, "not tested": untested, "worse": len(own) - ties - untested}
    words = ", ".join(f"{count:,} {'is' if count == 1 else 'are'} {what}" for what, count in counts.items() if count)
    networks = [row for row in standing.rows if not standing.recipe(row).is_of_pixels]
    among = Standing.of(standing.view, standing.metric, networks)
    beside = among.beside(among.baselines[0]) if among and among.best == own[0] and among.baselines[0] else ""
    first = ", ".join(filter(None, [f"{standing.name(own[0])} with {standing.value(own[0])}", beside]))
    yield f"Of {plural(len(own), standing.noun)} {words}; the first is {first}."


def other_backbones(standing: Standing) -> Iterator[str]:
    """The best on each other network, beside no training of the same one."""
    networks, own = standing.view.names.of_kind["backbone"], standing.own
    others = list(dict.fromkeys(networks[row] for row in own if networks[row] != networks[own[0]]))
    others = [network for network in others if network]
    for network in others[:MOST_NAMED]:
        rows = [row for row in standing.rows if networks[row] == network]
        there = Standing.of(standing.view, standing.metric, rows)
        if there is not None and there.recipe(there.best).is_baseline:
            yield f"On {network} nothing is better than {there.name(there.best)}: {there.value(there.best)}."
        elif there is not None and there.baselines[0] is not None:
            first = f"{there.name(there.best)} with {there.value(there.best)}"
            yield f"On {network} the first is {first}, {there.beside(there.baselines[0])}."
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
            picks.append(other)
    for other in picks[:MOST_METRICS]:
        rivals = dict.fromkeys(row for row in (standing.best, *other.baselines) if row is not None)
        beside = " and ".join(other.beside(row) for row in rivals)
        yield f"By {other.metric.label} {other.name(other.best)} comes first: {other.value(other.best)}, {beside}."
    if len(picks) > MOST_METRICS:
        yield f"By {plural(len(picks) - MOST_METRICS, 'more metric')} another comes first as well."
