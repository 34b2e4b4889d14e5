"""A map of features: a dot for each image, coloured by its class, with the image where a pointer rests."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import altair as alt

from sslbench.report.charts.panel import GREY, HUES, WIDTH, Panel, chart_of, legend_of, rounded
from sslbench.report.text import first_names, plural
from sslbench.store.pictures import PicturePoint

HEIGHT = 420
MOST_CLASSES = len(HUES)
"""with a colour of their own"""
OTHERS = "other classes"


def panel_of(title: str, caption: str, points: Sequence[PicturePoint]) -> Panel:
    """``caption``: what the map is, in a sentence."""
    names = list(dict.fromkeys(point.label for point in points))
    kept = names[:MOST_CLASSES]
    rows = [
        {
            "x": rounded(point.x),
            "y": rounded(point.y),
            "label": point.label,
            "class": point.label if point.label in kept else OTHERS,
            "image": data_address(point.png),
        }
        for point in points
    ]
    legend = legend_of([*kept, OTHERS]) if len(names) > 1 else None
    shades = dict(zip(kept, HUES, strict=False)) | ({OTHERS: GREY} if len(names) > len(kept) else {})
    scale = alt.Scale(domain=list(shades), range=list(shades.values()))
    colour = alt.Color("class:N", scale=scale, legend=legend)
    axes: dict[str, Any] = {"axis": None, "scale": alt.Scale(zero=False, padding=8)}
    chart = (
        chart_of(rows)
        .mark_circle(size=45, opacity=0.8)
        .encode(x=alt.X("x:Q", **axes), y=alt.Y("y:Q", **axes), color=colour, tooltip=["image:N", "label:N"])
    )
    chart = chart.properties(height=HEIGHT)
    return Panel(title, f"{caption} {plural(len(points), 'image')} of {first_names(names)}.", chart, WIDTH)


def data_address(png: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:image/png;base64,{b64encode(png).decode()}"
