"""Loss after every epoch, and metrics where a curve was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import altair as alt

from sslbench.report.charts.panel import (
    INK,
    MOST_PANELS,
    SMALL,
    Panel,
    by_method,
    chart_of,
    colours,
    drawn,
    figure,
    identity,
    layered,
    legend_of,
    picked,
    rounded,
    together,
    unless_another_is_picked,
)
from sslbench.report.rows import Row
from sslbench.report.sections.curves import curves_of, metrics_of_curves
from sslbench.report.text import first_names, plural
from sslbench.report.view import View

MOST_POINTS, MOST_IN_ALL = 100, 2000
"""of a line, and of a panel"""
FEW_POINTS = 400
"""of a panel, up to which each is a dot"""
FEW_EPOCHS = 8
"""up to which the axis names each"""
HEIGHT = 200
Line = dict[int, float]
"""epoch -> value"""


def curves(view: View) -> alt.ConcatChart:
    """Losses, a panel a method, since they have no common unit; then a panel for each metric of the curves."""
    return together(panels(view))


def panels(view: View) -> list[Panel]:
    """The first ``MOST_PANELS`` of the losses and of the metrics."""
    recipes = view.aggregate.recipes
    shown = drawn(view)
    losses = [
        panel_of(view, f"loss of {method}", rows, {row: losses_of(recipes[row].row) for row in rows}, "loss")
        for method, rows in view.by_method(shown).items()
    ]
    metrics = [
        panel_of(view, name, shown, {row: metric_of(recipes[row].row, name) for row in shown}, name)
        for name in metrics_of_curves([recipes[row].row for row in shown])
    ]
    return [*known(losses), *known(metrics)]


def known(panels: Iterable[Panel | None]) -> list[Panel]:
    """Those that have lines."""
    return [panel for panel in panels if panel is not None][:MOST_PANELS]


def losses_of(row: Row) -> dict[int, Line]:
    """Seed -> mean loss of each epoch."""
    lines: dict[int, Line] = {}
    for record in row.records:
        losses = record.pretraining.losses if record.pretraining else None
        if losses and record.seed not in lines:
            lines[record.seed] = {epoch: loss for epoch, loss in enumerate(losses, 1) if loss is not None}
    return lines


def metric_of(row: Row, name: str) -> dict[int, Line]:
    """Seed -> a metric after each epoch that was evaluated."""
    lines: dict[int, Line] = {}
    for seed, points in curves_of(row).items():
        values = [(point.epoch, point.metrics[name].value) for point in points if name in point.metrics]
        lines[seed] = {epoch: value for epoch, value in values if value is not None}
    return lines


def panel_of(view: View, title: str, rows: Sequence[int], lines: dict[int, dict[int, Line]], unit: str) -> Panel | None:
    """None where no line has two points."""
    points: list[dict[str, Any]] = []
    count = sum(len(own) + 1 for own in lines.values())
    most = max(2, min(MOST_POINTS, MOST_IN_ALL // max(1, count)))
    for row in rows:
        seeds = {seed: line for seed, line in lines[row].items() if len(line) > 1}
        if seeds:
            name = identity(view, row)
            each = {f"seed {seed}": line for seed, line in seeds.items()} if len(seeds) > 1 else {}
            for what, line in {**each, "mean": mean_of(seeds.values())}.items():
                points += [
                    {**name, "line": what, "epoch": epoch, "value": rounded(v)} for epoch, v in thinned(line, most)
                ]
    if not points:
        return None
    names = list(dict.fromkeys(point["recipe"] for point in points))
    first, last = (end(point["epoch"] for point in points) for end in (min, max))
    few = last - first < FEW_EPOCHS
    epochs: dict[str, Any] = {"values": list(range(first, last + 1))} if few else {"tickMinStep": 1}
    x = alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(zero=False, nice=False),
        axis=alt.Axis(**epochs, format="d", grid=False),
    )
    y = alt.Y("value:Q", title=unit, scale=alt.Scale(zero=False))
    encoding: dict[str, Any] = {"x": x, "y": y, "detail": ["line:N", "recipe:N"], **shades(view, points, names)}
    tooltip = ["recipe:N", "line:N", "epoch:Q", figure("value", title=unit)]
    base = chart_of(points)
    thin = base.transform_filter("datum.line != 'mean'").mark_line(strokeWidth=1)
    thick = base.transform_filter("datum.line == 'mean'")
    opacity = unless_another_is_picked()
    filled = {channel: of for channel, of in encoding.items() if channel != "strokeDash"}
    dots = thick.mark_circle(size=30).encode(opacity=opacity, tooltip=tooltip, **filled)
    layers = [
        thin.encode(opacity=unless_another_is_picked(0.35), **encoding),
        thick.mark_line(strokeWidth=2.5).encode(opacity=opacity, tooltip=tooltip, **encoding).add_params(picked()),
        *([dots] if len(points) <= FEW_POINTS else []),
    ]
    return Panel(title, in_words(title, last, names, points), layered(layers, HEIGHT), SMALL)


def in_words(title: str, last: int, names: Sequence[str], points: Iterable[Mapping[str, Any]]) -> str:
    """What the lines of these recipes are; ``last``: epoch."""
    seeds = any(point["line"] != "mean" for point in points)
    lines = "a thick line for the mean over seeds, thin ones for the seeds" if seeds else "a line for one seed of each"
    return f"{title} over {last} epochs: {plural(len(names), 'recipe')} ({first_names(names, 8)}), {lines}."


def shades(view: View, points: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Colours of the methods, and dashes of the backbones; of one method the recipes have colours."""
    methods = {point["method"] for point in points}
    if len(methods) < 2:
        legend = legend_of(names) if len(names) > 1 else None
        return {"color": alt.Color("recipe:N", scale=colours(names), legend=legend)}
    backbones = {str(point.get("backbone")) for point in points}
    strokes = legend_of(backbones, symbolType="stroke", symbolStrokeColor=INK, symbolStrokeWidth=2)
    dash = {"strokeDash": alt.StrokeDash("backbone:N", legend=strokes)} if len(backbones) > 1 else {}
    return {"color": by_method(view, methods, legend=True), **dash}


def mean_of(lines: Iterable[Line]) -> Line:
    """Over seeds, of the epochs that all have."""
    lines = list(lines)
    epochs = sorted(set.intersection(*map(set, lines)))
    return {epoch: fmean(line[epoch] for line in lines) for epoch in epochs}


def thinned(line: Line, most: int) -> list[tuple[int, float]]:
    """At most so many of its points, the last one among them."""
    points = sorted(line.items())
    step = -(-len(points) // most)
    return points[::-1][::step][::-1]
