"""Training steps that were timed: images a second of each, and how many times as fast each is as its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from sslbench.report.charts.panel import (
    INK,
    MOST_PANELS,
    MOST_ROWS,
    PALETTE,
    Panel,
    by_recipe,
    chart_of,
    figure,
    height_of,
    layered,
    rounded,
)
from sslbench.report.numbers import three_digits
from sslbench.report.text import plural

DIFFERENT, SAME = "faster or slower", "no difference"
COLOURS = {DIFFERENT: PALETTE[0], SAME: PALETTE[-1]}


@dataclass(frozen=True)
class Timed:
    """One step."""

    row: str
    """what tells it from others"""
    images_per_second: float
    low: float | None = None
    """at the 80th percentile of its step times"""
    high: float | None = None
    """at the 20th"""


@dataclass(frozen=True)
class Compared:
    """One step against a baseline."""

    row: str
    """what tells it from others"""
    baseline: str
    ratio: float
    low: float
    high: float
    """95% interval"""
    differs: bool
    bound: float | None = None
    """the ratio if time went with arithmetic"""


def rates(rows: Sequence[Timed]) -> Panel | None:
    """Images a second of each row; None without any."""
    rows = rows[:MOST_ROWS]
    if not rows:
        return None
    ordered = sorted(rows, key=lambda row: row.images_per_second)
    slowest, fastest = (f"{three_digits(end.images_per_second)} ({end.row})" for end in (ordered[0], ordered[-1]))
    description = f"Images a second of {plural(len(rows), 'training step')}: from {slowest} to {fastest}."
    values = [
        {
            "recipe": row.row,
            "rate": rounded(row.images_per_second),
            "low": rounded(row.low),
            "high": rounded(row.high),
        }
        for row in rows
    ]
    y, title = by_recipe([row.row for row in rows]), "images a second"
    ends = [figure("low", title="at the 80th percentile of steps"), figure("high", title="at the 20th")]
    tooltip = ["recipe:N", figure("rate", title=title), *ends]
    base = chart_of(values)
    bars = base.mark_bar(color=PALETTE[0], opacity=0.75, height=12).encode(
        x=alt.X("rate:Q", title=title), y=y, tooltip=tooltip
    )
    spreads = base.mark_rule(color=INK, strokeWidth=1.5).encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y)
    chart = layered([bars, spreads], height_of([row.row for row in rows]))
    return Panel("Images a second in training", description, chart)


def ratios(rows: Sequence[Compared]) -> list[Panel]:
    """How many times as fast, with intervals and what arithmetic allows: one for each baseline."""
    baselines = list(dict.fromkeys(row.baseline for row in rows))[:MOST_PANELS]
    return [against(name, [row for row in rows if row.baseline == name][:MOST_ROWS]) for name in baselines]


def against(baseline: str, rows: Sequence[Compared]) -> Panel:
    """All rows that are compared with one baseline."""
    values = [
        {
            "recipe": row.row,
            "ratio": rounded(row.ratio),
            "low": rounded(row.low),
            "high": rounded(row.high),
            "bound": rounded(row.bound),
            "difference": DIFFERENT if row.differs else SAME,
        }
        for row in rows
    ]
    words = [f"{row.row}: {row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})" for row in rows]
    description = f"How many times as fast as {baseline}, with the 95% interval: {'; '.join(words)}."
    there = [name for name in COLOURS if any(value["difference"] == name for value in values)]
    scale = alt.Scale(domain=there, range=[COLOURS[name] for name in there])
    colour = alt.Color("difference:N", scale=scale, legend=alt.Legend() if len(there) > 1 else None)
    y, title = by_recipe([row.row for row in rows]), "times as fast"
    ends = [figure(name, ".3f") for name in ("ratio", "low", "high")]
    tooltip = ["recipe:N", *ends, figure("bound", ".2f", "FLOP bound"), "difference:N"]
    base = chart_of(values)
    one = base.mark_rule(color=INK, opacity=0.5).encode(x=alt.datum(1))
    bars = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", title=title), x2="high:Q", y=y, color=colour, tooltip=tooltip
    )
    dots = base.mark_circle(size=75).encode(x=alt.X("ratio:Q", title=title), y=y, color=colour, tooltip=tooltip)
    bounds = base.mark_tick(color=INK, thickness=2, size=16).encode(
        x=alt.X("bound:Q", title=title), y=y, tooltip=tooltip
    )
    known = [bounds.transform_filter("isValid(datum.bound)")] if any(row.bound for row in rows) else []
    chart = layered([one, *known, bars, dots], height_of([row.row for row in rows]))
    return Panel(f"Times as fast as: {baseline}", description, chart)
