"""The cross product: every recipe under every metric, coloured within its column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import altair as alt

from sslbench.report.charts.panel import (
    BEST,
    TIE,
    WIDE,
    Panel,
    by_recipe,
    chart_of,
    drawn,
    height_of,
    identity,
    layered,
    picked,
    rounded,
    standing,
    together,
    unless_another_is_picked,
)
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import fixed
from sslbench.report.text import plural
from sslbench.report.view import View

MARKS = {BEST: "*", TIE: "="}
LOW, HIGH = "#e8eff6", "#1f66a8"
"""colours of the worst and the best of a column"""
DARK_GROUND = 0.55
"""share of the way to the best from which words on it are white"""
MOST_COLUMNS, MOST_UPRIGHT = 12, 5
"""metrics that there is room for, and for whose names there is room in one line"""


def heat_map(view: View) -> alt.ConcatChart:
    """The one panel as a chart."""
    return together(panels(view), columns=1)


def panels(view: View) -> list[Panel]:
    """One; none where fewer than two recipes or no metric that ranks are there."""
    rows = drawn(view)
    known = [metric for metric in view.aggregate.metrics if not metric.detail and metric.higher_is_better is not None]
    metrics = known[:MOST_COLUMNS]
    cells = [cell for metric in metrics for cell in cells_of(view, metric, rows)]
    if len(rows) < 2 or not cells:
        return []
    more = f" (the first {len(metrics)} of {len(known)})" if len(metrics) < len(known) else ""
    description = (
        f"{plural(len(rows), 'recipe')}, one a line, under {plural(len(metrics), 'metric')}{more}: "
        f"{', '.join(metric.label for metric in metrics)}. Darker is better within a column and data set; "
        "the table has the numbers."
    )
    return [Panel("recipes under metrics", description, chart(view, cells, rows, metrics), WIDE)]


def cells_of(view: View, metric: MetricColumn, rows: Iterable[int]) -> list[dict[str, Any]]:
    """One for each recipe that was measured, with its place between the worst and the best of its data set."""
    means, places = view.ranking.means(metric), view.ranking.decimals(metric)
    datasets = view.names.of_kind["dataset"]
    values: dict[str, list[float]] = {}
    for row in view.order:
        if (mean := means[row]) is not None:
            values.setdefault(datasets[row], []).append(mean)
    cells = []
    for row in rows:
        if (mean := means[row]) is None:
            continue
        worst, best = sorted(
            (min(values[datasets[row]]), max(values[datasets[row]])), reverse=not metric.higher_is_better
        )
        share = 0.5 if best == worst else (mean - worst) / (best - worst)
        text = f"{MARKS.get(standing(view, metric, row), '')}{fixed(mean, places)}"
        cells.append({**identity(view, row), "metric": metric.label, "share": rounded(share), "text": text})
    return cells


def chart(view: View, cells: list[dict[str, Any]], rows: Iterable[int], metrics: list[MetricColumn]) -> alt.LayerChart:
    """Rectangles with their numbers."""
    names = [view.names.recipe(row) for row in rows]
    angle = 0 if len(metrics) <= MOST_UPRIGHT else -30
    axis = alt.Axis(title=None, orient="top", labelAngle=angle, ticks=False, domain=False)
    scale = alt.Scale(paddingInner=0.03, paddingOuter=0)
    x = alt.X("metric:N", sort=[metric.label for metric in metrics], axis=axis, scale=scale)
    base = chart_of(cells).encode(x=x, y=by_recipe(names), opacity=unless_another_is_picked())
    colour = alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=[LOW, HIGH]), legend=None)
    tooltip = ["recipe:N", "metric:N", alt.Tooltip("text:N", title="value")]
    ground = (
        base.mark_rect(height=alt.RelativeBandSize(0.93)).encode(color=colour, tooltip=tooltip).add_params(picked())
    )
    ink = alt.condition(f"datum.share > {DARK_GROUND}", alt.value("#ffffff"), alt.value("#14202b"))
    words = base.mark_text(fontSize=12).encode(text="text:N", color=ink, tooltip=tooltip)
    return layered([ground, words], height_of(names))
