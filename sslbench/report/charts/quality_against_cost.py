"""Quality against cost: what a better metric takes in speed, memory and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from sslbench.report.charts.panel import (
    BEST,
    INK,
    SMALL,
    TIE,
    Panel,
    Row,
    by_method,
    chart_of,
    drawn,
    figure,
    identity,
    layered,
    legend_of,
    picked,
    ranked_metrics,
    rounded,
    standing,
    together,
    unless_another_is_picked,
)
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import three_digits
from sslbench.report.view import View

COSTS = {
    "images_per_second": ("images a second in training", 1.0, "more is better"),
    "peak_memory_bytes": ("peak memory of training, MB", 1e-6, "less is better"),
    "joules_per_image": ("joules an image in training", 1.0, "less is better"),
    "pretraining_seconds": ("seconds of one training", 1.0, "less is better"),
}
"""quantity of speed or cost -> its words, factor, and which end is better"""
WIDE_RANGE = 30
"""ratio of the largest to the smallest cost from which the axis is logarithmic"""
HEIGHT = 280
MOST_SHAPES = 6


def quality_against_cost(view: View) -> alt.ConcatChart:
    """A panel for each cost that is known."""
    return together(panels(view))


def panels(view: View) -> list[Panel]:
    """One for each cost and data set, of the first metric that ranks; none where nothing was trained."""
    metrics = ranked_metrics(view)
    if not metrics:
        return []
    datasets = list(dict.fromkeys(view.names.of_kind["dataset"][row] for row in drawn(view)))
    charts = (panel_of(view, metrics[0], cost, name) for name in datasets for cost in COSTS)
    return [panel for panel in charts if panel is not None]


def panel_of(view: View, metric: MetricColumn, cost: str, dataset: str) -> Panel | None:
    """One data set; None where less than two recipes have this cost."""
    words, factor, better = COSTS[cost]
    rows = [point(view, metric, cost, row) for row in drawn(view) if view.names.of_kind["dataset"][row] == dataset]
    known = [row for row in rows if row["value"] is not None]
    with_cost = [row for row in known if row["cost"]]
    if len(with_cost) < 2:
        return None
    costs = [row["cost"] for row in with_cost]
    best = [row["recipe"] for row in with_cost if row["standing"] == BEST]
    title = f"{metric.label} against {words}" + (f", {dataset}" if "dataset" in view.names.kept else "")
    cheap, dear = (three_digits(end * factor) for end in (min(costs), max(costs)))
    description = (
        f"{len(with_cost)} recipes: {metric.label} upwards, {words} to the right, from {cheap} to {dear}; {better}."
        + (f" The best {metric.label} is that of {', '.join(best)}." if best else "")
    )
    return Panel(title, description, chart(view, known, metric, cost), SMALL)


def point(view: View, metric: MetricColumn, cost: str, row: int) -> dict[str, Any]:
    """One recipe; its cost is None, or 0, where nothing was trained."""
    recipe = view.aggregate.recipes[row]
    estimate = recipe.metrics[metric.label]
    return {
        **identity(view, row),
        "value": rounded(estimate.mean),
        "low": rounded(estimate.low),
        "high": rounded(estimate.high),
        "cost": rounded(recipe.speeds[cost].mean) or None,
        "standing": standing(view, metric, row),
    }


def chart(view: View, rows: Sequence[Row], metric: MetricColumn, cost: str) -> alt.LayerChart:
    """Dots, filled where nothing tells them from the best, with their intervals; dashes for what has no cost."""
    words, factor, _ = COSTS[cost]
    costs = [row["cost"] for row in rows if row["cost"]]
    scale = alt.Scale(
        type="log" if max(costs) > WIDE_RANGE * min(costs) else "linear", zero=False, nice=True, padding=12
    )
    base = chart_of(rows).transform_calculate(shown_cost=f"datum.cost * {factor}")
    trained = base.transform_filter("isValid(datum.cost)")
    x = alt.X("shown_cost:Q", title=words, scale=scale, axis=alt.Axis(tickCount=5))
    y = alt.Y("value:Q", title=metric.label, scale=alt.Scale(zero=False))
    methods = [row["method"] for row in rows if row["cost"]]
    colour = by_method(view, methods, legend=True)
    shapes = {row["backbone"] for row in rows if row["cost"]} if "backbone" in view.names.kept else set()
    shape: dict[str, Any] = (
        {"shape": alt.Shape("backbone:N", legend=legend_of(shapes))} if 1 < len(shapes) <= MOST_SHAPES else {}
    )
    tooltip = ["recipe:N", figure("value", title=metric.label), figure("shown_cost", title=words), "standing:N"]
    encoding: dict[str, Any] = {"x": x, "y": y, "color": colour, "tooltip": tooltip, **shape}
    opacity = unless_another_is_picked()
    near = f"datum.standing == '{BEST}' || datum.standing == '{TIE}'"
    ends: dict[str, Any] = {"x": x, "y": alt.Y("low:Q", title=metric.label), "y2": "high:Q", "color": colour}
    intervals = trained.mark_rule(strokeWidth=1.5).encode(opacity=unless_another_is_picked(0.5), **ends)
    hollow = trained.transform_filter(f"!({near})").mark_point(size=90, strokeWidth=2)
    filled = trained.transform_filter(near).mark_point(size=110, filled=True)
    untrained = base.transform_filter("!isValid(datum.cost)")
    dashes = untrained.mark_rule(strokeDash=[4, 4], color=INK, opacity=0.6).encode(y=y, tooltip=["recipe:N", "value:Q"])
    names = untrained.mark_text(align="right", baseline="bottom", dy=-2, color=INK, fontSize=11, opacity=0.8)
    layers = [
        dashes,
        names.encode(x=alt.value("width"), y=y, text="recipe:N"),
        intervals,
        hollow.encode(opacity=opacity, **encoding),
        filled.encode(opacity=opacity, **encoding).add_params(picked()),
    ]
    return layered(layers, HEIGHT)
