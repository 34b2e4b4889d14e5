"""Seeds as dots: each value, the mean, and its interval."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from sslbench.report.charts.panel import (
    INK,
    Panel,
    Row,
    by_method,
    by_recipe,
    chart_of,
    drawn,
    figure,
    height_of,
    identity,
    layered,
    picked,
    ranked_metrics,
    rounded,
    standing,
    together,
    unless_another_is_picked,
)
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import fixed
from sslbench.report.text import plural
from sslbench.report.view import View


def seeds(view: View) -> alt.ConcatChart:
    """A panel for each metric of the main table."""
    return together(panels(view))


def panels(view: View) -> list[Panel]:
    """One for each metric of the main table that ranks."""
    return [panel for metric in ranked_metrics(view) if (panel := panel_of(view, metric)) is not None]


def panel_of(view: View, metric: MetricColumn) -> Panel | None:
    """None where nothing was measured."""
    dots, means = [], []
    for row in drawn(view):
        recipe = view.aggregate.recipes[row]
        estimate = recipe.metrics[metric.label]
        if estimate.mean is None:
            continue
        name = identity(view, row)
        dots += [
            {**name, "seed": seed, "value": rounded(value)}
            for seed, value in sorted(recipe.values(metric.label).items())
        ]
        ends = {end: rounded(getattr(estimate, end)) for end in ("mean", "low", "high")}
        means.append({**name, **ends, "standing": standing(view, metric, row)})
    if not means:
        return None
    title = f"{metric.label}: seeds, mean and 95% interval"
    return Panel(title, in_words(view, metric, dots, means), chart(view, metric, dots, means))


def in_words(view: View, metric: MetricColumn, dots: Sequence[Row], means: Sequence[Row]) -> str:
    """What the chart shows."""
    known = sorted(means, key=lambda row: row["mean"])
    places = view.ranking.decimals(metric)
    lowest, highest = (f"{fixed(end['mean'], places)} ({end['recipe']})" for end in (known[0], known[-1]))
    count = len({dot["seed"] for dot in dots})
    return (
        f"{metric.label} of {plural(len(means), 'recipe')}, one a line: a dot for each of {plural(count, 'seed')}, "
        f"a stroke at the mean, a bar over its 95% interval. Means from {lowest} to {highest}."
    )


def chart(view: View, metric: MetricColumn, dots: Sequence[Row], means: Sequence[Row]) -> alt.LayerChart:
    """A dot a seed, a stroke at the mean and a bar over its interval."""
    names = [row["recipe"] for row in means]
    x = alt.X("value:Q", title=metric.label, scale=alt.Scale(zero=False))
    y = by_recipe(names)
    colour = by_method(view, (row["method"] for row in means))
    base = chart_of([*dots, *means])
    form = f".{view.ranking.decimals(metric)}f"
    tip = [*(figure(name, form) for name in ("mean", "low", "high")), "standing:N"]
    faint, full = unless_another_is_picked(0.55), unless_another_is_picked()
    bars = base.mark_rule(strokeWidth=7, strokeCap="round").encode(
        x=alt.X("low:Q", title=metric.label),
        x2="high:Q",
        y=y,
        color=colour,
        opacity=unless_another_is_picked(0.25),
        tooltip=["recipe:N", *tip],
    )
    points = base.mark_circle(size=55).encode(
        x=x,
        y=y,
        color=colour,
        opacity=faint,
        tooltip=["recipe:N", "seed:O", figure("value", form)],
    )
    strokes = base.mark_tick(color=INK, thickness=2, size=15).encode(
        x="mean:Q", y=y, opacity=full, tooltip=["recipe:N", *tip]
    )
    return layered([bars, points.add_params(picked()), strokes], height_of(names))
