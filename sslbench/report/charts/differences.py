"""Paired differences: every recipe against the best of its metric, with the interval of the difference."""

from __future__ import annotations

import altair as alt

from sslbench.report.charts.panel import (
    GREY,
    INK,
    PALETTE,
    TIE,
    UNTESTED,
    WORSE,
    Panel,
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
    together,
    unless_another_is_picked,
)
from sslbench.report.comparisons import same_images
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.text import plural
from sslbench.report.view import View

COLOURS = {WORSE: PALETTE[1], TIE: PALETTE[0], UNTESTED: GREY}


def differences(view: View) -> alt.ConcatChart:
    """A panel for each metric of the main table."""
    return together(panels(view))


def panels(view: View) -> list[Panel]:
    """One for each metric with something to compare."""
    return [panel for metric in ranked_metrics(view) if (panel := panel_of(view, metric)) is not None]


def panel_of(view: View, metric: MetricColumn) -> Panel | None:
    """None where there are no two recipes of the same images."""
    shown, recipes = set(drawn(view)), view.aggregate.recipes
    rows = []
    for one in view.ranking.compared(metric):
        if one.other in shown and same_images(recipes[one.other].row, recipes[one.best].row):
            difference = one.difference
            rows.append({
                **identity(view, one.other),
                "best": view.names.recipe(one.best),
                "difference": rounded(difference.mean),
                "low": rounded(difference.low),
                "high": rounded(difference.high),
                "p": rounded(one.corrected),
                "verdict": UNTESTED if one.test is None else TIE if one.tie else WORSE,
            })  # fmt: skip
    if not rows:
        return None
    best = list(dict.fromkeys(row["best"] for row in rows))
    counts = [f"{sum(row['verdict'] == verdict for row in rows)} {verdict}" for verdict in COLOURS]
    description = (
        f"{metric.label} of {plural(len(rows), 'recipe')} less that of the best ({', '.join(best)}), with 95% "
        f"intervals: {', '.join(count for count in counts if not count.startswith('0 '))}."
    )
    title = (
        f"{metric.label}: difference from {best[0]}" if len(best) == 1 else f"{metric.label}: difference from the best"
    )
    return Panel(title, description, chart(rows))


def chart(rows: list[dict[str, object]]) -> alt.LayerChart:
    """Dots with their intervals, beside a line at no difference."""
    names = [str(row["recipe"]) for row in rows]
    y = by_recipe(names)
    there = [verdict for verdict in COLOURS if any(row["verdict"] == verdict for row in rows)]
    scale = alt.Scale(domain=there, range=[COLOURS[verdict] for verdict in there])
    colour = alt.Color("verdict:N", scale=scale)
    ends = [figure(name, "+.4~g") for name in ("difference", "low", "high")]
    tooltip = ["recipe:N", "best:N", *ends, figure("p", ".3~g", "p corrected"), "verdict:N"]
    base = chart_of(rows)
    title = "difference"  # the heading names the metric; on a telephone there is no room for both
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=title),
        x2="high:Q",
        y=y,
        color=colour,
        tooltip=tooltip,
        opacity=unless_another_is_picked(0.6),
    )
    dots = base.mark_circle(size=75).encode(
        x=alt.X("difference:Q", title=title), y=y, color=colour, tooltip=tooltip, opacity=unless_another_is_picked()
    )
    zero = base.mark_rule(color=INK, opacity=0.5).encode(x=alt.datum(0))
    return layered([zero, bars, dots.add_params(picked())], height_of(names))
