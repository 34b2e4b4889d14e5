"""Every metric of every recipe over its seeds: mean, deviation, number, interval."""

from __future__ import annotations

from typing import Any

from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import NOTHING, fixed
from sslbench.report.text import Column, Section
from sslbench.report.view import Style, View
from sslbench.statistics.student import Estimate


def statistics(view: View) -> Section:
    """A line for each metric and recipe, best first."""
    lines = [
        (metric, row) for metric in view.aggregate.metrics for rivals in view.ranking.rivals(metric) for row in rivals
    ]
    if not lines:
        return Section("statistics over seeds: nothing was measured")
    notes = [
        "deviation: standard deviation over seeds (n - 1); 95% interval: of the mean over seeds (Student's t)",
        "*: best; =: not told apart from it (paired t-test over seeds, Holm's correction; --pairs has the numbers)",
    ]
    if all(estimate_of(view, *line).n < 2 for line in lines):
        notes.append("one seed has neither deviation nor interval: run more with --seeds 0,1,2")
    return Section("statistics over seeds", [as_row(view, *line) for line in lines], columns_of(view, lines), notes)


def estimate_of(view: View, metric: MetricColumn, row: int) -> Estimate:
    """Of one metric of one recipe."""
    return view.aggregate.recipes[row].metrics[metric.label]


def columns_of(view: View, lines: list[tuple[MetricColumn, int]]) -> list[Column]:
    """The lines as a person reads them."""
    places = {metric.label: view.ranking.decimals(metric) for metric, _ in lines}
    marks = [mark_of(view, metric, row) for metric, row in lines]
    estimates = [(metric.label, estimate_of(view, metric, row)) for metric, row in lines]

    def text(label: str, value: float | None) -> str:
        return NOTHING if value is None else fixed(value, places[label])

    def interval(label: str, estimate: Estimate) -> str:
        return " to ".join(dict.fromkeys([text(label, estimate.low), text(label, estimate.high)]))

    means = [text(label, estimate.mean) for label, estimate in estimates]
    return [
        Column("metric", [label for label, _ in estimates]),
        *view.words(Style(), [row for _, row in lines]),
        Column("mean", [mark + mean for mark, mean in zip(marks, means, strict=True)], number=True),
        Column("deviation", [text(label, estimate.std) for label, estimate in estimates], number=True),
        Column("seeds", [str(estimate.n) for _, estimate in estimates], number=True),
        Column("95% interval", [interval(label, estimate) for label, estimate in estimates], number=True),
    ]


def mark_of(view: View, metric: MetricColumn, row: int) -> str:
    """``*`` for the best, ``=`` for a tie with it."""
    if row in view.ranking.best[metric.label]:
        return "*"
    return "=" if row in view.ranking.ties[metric.label] else ""


def as_row(view: View, metric: MetricColumn, row: int) -> dict[str, Any]:
    """One line, unrounded."""
    estimate = estimate_of(view, metric, row)
    return {
        "metric": metric.label,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        **view.names.columns_of(row),
        "mean": estimate.mean,
        "std": estimate.std,
        "n": estimate.n,
        "low": estimate.low,
        "high": estimate.high,
        "best": row in view.ranking.best[metric.label],
        "tie": row in view.ranking.ties[metric.label],
    }
