"""What became of each recipe from one results folder to another: the change of each quantity, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    picked,
    rounded,
    unless_another_is_picked,
)
from sslbench.report.compare.change import Change
from sslbench.report.text import plural

COLOURS = {
    "better": PALETTE[2],
    "worse": PALETTE[1],
    "moved": PALETTE[3],
    "tie": PALETTE[0],
    "unsure": PALETTE[-1],
}
"""verdict -> colour"""


def panels(changes: Sequence[Change]) -> list[Panel]:
    """One for each quantity, those first that moved most often."""
    quantities: dict[str, list[Change]] = {}
    for change in changes:
        if change.relative is not None and math.isfinite(change.relative):
            quantities.setdefault(change.quantity, []).append(change)
    moved = {name: sum(one.verdict not in ("tie", "unsure") for one in own) for name, own in quantities.items()}
    order = sorted(quantities, key=lambda name: -moved[name])[:MOST_PANELS]
    return [panel_of(name, quantities[name][:MOST_ROWS]) for name in order]


def panel_of(quantity: str, changes: Sequence[Change]) -> Panel:
    """One quantity of these recipes."""
    rows = [
        {
            "recipe": change.recipe,
            "change": percent(change.relative),
            "low": percent(change.interval.low if change.interval else None),
            "high": percent(change.interval.high if change.interval else None),
            "a": rounded(change.before),
            "b": rounded(change.after),
            "verdict": change.verdict,
        }
        for change in changes
    ]
    counts = [f"{sum(row['verdict'] == verdict for row in rows)} {verdict}" for verdict in COLOURS]
    description = (
        f"Change of {quantity} from A to B in percent, of {plural(len(rows), 'recipe')}, with 95% intervals: "
        f"{', '.join(count for count in counts if not count.startswith('0 '))}."
    )
    names = [str(row["recipe"]) for row in rows]
    y = by_recipe(names)
    there = [verdict for verdict in COLOURS if any(row["verdict"] == verdict for row in rows)]
    colour = alt.Color("verdict:N", scale=alt.Scale(domain=there, range=[COLOURS[verdict] for verdict in there]))
    ends = [figure(name, "+.3~g") for name in ("change", "low", "high")]
    tooltip = ["recipe:N", figure("a"), figure("b"), *ends, "verdict:N"]
    base = chart_of(rows)
    title = "change, %"
    opacity = unless_another_is_picked()
    zero = base.mark_rule(color=INK, opacity=0.5).encode(x=alt.datum(0))
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=title), x2="high:Q", y=y, color=colour, tooltip=tooltip, opacity=opacity
    )
    dots = base.mark_circle(size=75).encode(
        x=alt.X("change:Q", title=title), y=y, color=colour, tooltip=tooltip, opacity=opacity
    )
    chart = layered([zero, bars, dots.add_params(picked())], height_of(names))
    return Panel(f"{quantity}: change from A to B", description, chart)


def percent(share: float | None) -> float | None:
    """None for what is not known or has no end."""
    return rounded(100 * share) if share is not None and math.isfinite(share) else None
