"""Shares of images that models have right, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from sslbench.report.charts.panel import (
    MOST_ROWS,
    PALETTE,
    TIE,
    UNTESTED,
    Panel,
    by_recipe,
    chart_of,
    figure,
    height_of,
    layered,
    rounded,
)
from sslbench.report.text import plural

CHOSEN, APART = "chosen", "told apart"
COLOURS = {CHOSEN: PALETTE[2], TIE: PALETTE[0], APART: PALETTE[1], UNTESTED: PALETTE[-1]}


@dataclass(frozen=True)
class RightShare:
    """Of one model, 0..1, with the ends of its 95% interval."""

    model: str
    value: float
    low: float | None
    high: float | None
    chosen: bool
    tie: bool | None
    """whether it is not told apart from the chosen one; None where that was not tested"""

    @property
    def standing(self) -> str:
        """To the chosen one."""
        return CHOSEN if self.chosen else UNTESTED if self.tie is None else TIE if self.tie else APART


def shares(models: Sequence[RightShare]) -> Panel | None:
    """A line for each model; None without any."""
    models = models[:MOST_ROWS]
    if not models:
        return None
    rows = [
        {
            "recipe": model.model,
            "right": rounded(100 * model.value),
            "low": None if model.low is None else rounded(100 * model.low),
            "high": None if model.high is None else rounded(100 * model.high),
            "standing": model.standing,
        }
        for model in models
    ]
    words = [f"{row['recipe']} {row['right']:.1f} ({row['standing']})" for row in rows]
    description = f"Percent right of the linear probe of {plural(len(rows), 'model')}: {'; '.join(words)}."
    there = [name for name in COLOURS if any(row["standing"] == name for row in rows)]
    scale = alt.Scale(domain=there, range=[COLOURS[name] for name in there])
    colour = alt.Color("standing:N", scale=scale)
    names = [model.model for model in models]
    y, title = by_recipe(names), "percent right"
    ends = [figure(name, ".1f") for name in ("right", "low", "high")]
    tooltip = ["recipe:N", *ends, "standing:N"]
    base = chart_of(rows)
    x = alt.X("low:Q", title=title, scale=alt.Scale(zero=False))
    bars = base.mark_rule(strokeWidth=3).encode(x=x, x2="high:Q", y=y, color=colour, tooltip=tooltip)
    dots = base.mark_circle(size=75).encode(x=alt.X("right:Q", title=title), y=y, color=colour, tooltip=tooltip)
    chart = layered([bars, dots], height_of(names))
    return Panel("Linear probe on the frozen model, with 95% intervals", description, chart)
