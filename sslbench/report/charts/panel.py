"""What all charts share: a panel with its words, which recipes are drawn, and colours that serve light and dark."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import NOTHING
from sslbench.report.text import plural
from sslbench.report.view import View

MOST_ROWS = 25
"""recipes that a chart has room for"""
MOST_PANELS = 6
"""charts of one kind, one for each metric or method"""
WIDTH, SMALL = 460, 360
"""of a panel, pixels: with and without names of recipes beside it"""
WIDE = 760
"""of one that has a line for itself"""
ROW = 22
"""height of a line of a chart with a line a recipe, pixels"""
PALETTE = (
    "#2f7fc1", "#cc5a1f", "#1d9070", "#b0589b", "#a67c00", "#6d6fd0", "#c4475f",
    "#78a010", "#686850", "#b08880", "#28a0b0", "#187800", "#9800f0", "#7d8590",
)  # fmt: skip
"""of contrast 3:1 and more on white and on almost black, and a CIEDE2000 difference of 14 and more from each other"""
HUES, GREY = PALETTE[:-1], PALETTE[-1]
INK = "currentColor"
BEST, TIE, WORSE, UNTESTED = "best", "tie", "worse", "not tested"
"""how a recipe stands to the best of its metric"""
LEGEND_ROOM, LETTER, SYMBOL = 290, 7, 30
"""of a legend on a telephone, of a letter in it, and of what is before and after a name: widths in pixels"""
PICK = "pick"
"""the parameter that holds the recipe that is pointed out"""
Row = Mapping[str, Any]
Chart = alt.Chart | alt.LayerChart


@dataclass(frozen=True)
class Panel:
    """One chart in a page."""

    title: str
    description: str
    """what is seen, for a reader who cannot see it"""
    chart: Chart
    width: int = WIDTH
    """pixels, where nothing else decides"""


def drawn(view: View) -> list[int]:
    """The rows that charts show: all, or the best of each data set where there are many."""
    names = view.names.of_kind["dataset"]
    groups: dict[str, list[int]] = {}
    for row in view.order:
        groups.setdefault(names[row], []).append(row)
    share = max(1, MOST_ROWS // max(1, len(groups)))
    return [row for rows in groups.values() for row in rows[:share]][:MOST_ROWS]


def what_is_drawn(view: View) -> list[str]:
    """A line where charts show a part of the recipes."""
    shown, there = len(drawn(view)), len(view.order)
    return [f"charts show the best {shown} of {plural(there, 'recipe')}; the table has all"] if shown < there else []


def ranked_metrics(view: View) -> list[MetricColumn]:
    """The metrics of the main table of which one end is better, those of which there are charts."""
    known = [m for m in view.aggregate.metrics if not m.detail and m.higher_is_better is not None]
    return [metric for metric in known if any(mean is not None for mean in view.ranking.means(metric))][:MOST_PANELS]


def identity(view: View, row: int) -> dict[str, Any]:
    """The words by which a recipe is named, found and filtered."""
    names = {kind: view.names.of_kind[kind][row] or NOTHING for kind in view.names.kept}
    return {"recipe": view.names.recipe(row), **names}


def standing(view: View, metric: MetricColumn, row: int) -> str:
    """One of ``BEST``, ``TIE`` and ``WORSE``."""
    if row in view.ranking.best[metric.label]:
        return BEST
    return TIE if row in view.ranking.ties[metric.label] else WORSE


def rounded(value: float | None) -> float | None:
    """With six significant digits, which no chart shows."""
    return None if value is None else float(f"{value:.6g}")


def chart_of(rows: Iterable[Row]) -> alt.Chart:
    """An empty chart of these data."""
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def by_recipe(names: Sequence[str]) -> alt.Y:
    """A line for each recipe, in this order."""
    axis = alt.Axis(title=None, ticks=False, domain=False, labelLimit=260, labelPadding=8, grid=False)
    return alt.Y("recipe:N", sort=list(dict.fromkeys(names)), axis=axis)


def height_of(names: Sequence[str]) -> int:
    """Of a chart with a line for each of these, pixels."""
    return ROW * len(set(names)) + 6


def colours(names: Iterable[str]) -> alt.Scale:
    """A colour for each name, in the order in which they appear."""
    domain = list(dict.fromkeys(names))
    return alt.Scale(domain=domain, range=[PALETTE[place % len(PALETTE)] for place in range(len(domain))])


def layered(layers: Iterable[alt.Chart], height: int) -> alt.LayerChart:
    """One above the other, the last one on top."""
    return alt.layer(*layers).properties(height=height)  # type: ignore[return-value]


def figure(field: str, places: str = ".4~g", title: str | None = None) -> alt.Tooltip:
    """A number in a tooltip. ``places``: its format, as d3 has it."""
    return alt.Tooltip(f"{field}:Q", format=places, title=title or field)


def method_colours(view: View) -> dict[str, str]:
    """Method -> its colour in all charts of a view; those that train nothing are grey."""
    recipes = view.aggregate.recipes
    names = {view.names.of_kind["method"][row]: recipes[row].is_baseline for row in view.order}
    trained = [name for name, baseline in names.items() if not baseline]
    shades = {name: HUES[place % len(HUES)] for place, name in enumerate(trained)}
    return {name: shades.get(name, GREY) for name in names}


def legend_of(names: Iterable[str], **how: Any) -> alt.Legend:
    """In as many columns as a telephone has room for, with names of this length."""
    longest = max(map(len, names), default=0)
    return alt.Legend(columns=max(1, LEGEND_ROOM // (LETTER * longest + SYMBOL)), **how)


def by_method(view: View, shown: Iterable[str], legend: bool = False) -> alt.Color:
    """The colour of a mark; ``shown``: methods that a legend names, where there is to be one."""
    known, wanted = method_colours(view), set(shown)
    names = [name for name in known if name in wanted]
    scale = alt.Scale(domain=names, range=[known[name] for name in names])
    return alt.Color("method:N", scale=scale, legend=legend_of(names) if legend else None)


def picked() -> alt.Parameter:
    """The recipe that a click points out, in this chart and, in a page, in all others."""
    return alt.selection_point(name=PICK, fields=["recipe"], on="click", clear="dblclick")


def unless_another_is_picked(opacity: float = 1.0) -> Any:
    """The opacity of a mark; faint where another recipe is pointed out."""
    test = f"!{PICK}.recipe || !{PICK}.recipe[0] || {PICK}.recipe[0] == datum.recipe"
    return alt.condition(test, alt.value(opacity), alt.value(opacity * 0.15))


def styled(chart: Any) -> Any:
    """A chart on no ground of its own, in the colour of the text around it."""
    axis = alt.AxisConfig(
        aria=False, labelColor=INK, titleColor=INK, gridColor=INK, domainColor=INK, tickColor=INK,
        gridOpacity=0.12, domainOpacity=0.35, tickOpacity=0.35, labelFontSize=12, titleFontSize=12,
        titleFontWeight="normal", titlePadding=8, tickCount=6,
    )  # fmt: skip
    legend = alt.LegendConfig(
        aria=False, labelColor=INK, titleColor=INK, labelFontSize=12, titleFontSize=12, titleFontWeight="normal",
        orient="bottom", columns=3, symbolSize=70, symbolOpacity=1, labelLimit=320, title=None, direction="horizontal",
        symbolBaseStrokeColor=INK,
    )  # fmt: skip
    return chart.configure(
        aria=False, background="transparent", font="sans-serif", axis=axis, legend=legend,
        mark=alt.MarkConfig(aria=False),
        view=alt.ViewConfig(stroke=None), title=alt.TitleConfig(color=INK, fontSize=13, anchor="start"),
    )  # fmt: skip


def together(panels: Sequence[Panel], columns: int = 2) -> alt.ConcatChart:
    """All panels as one chart, for a notebook."""
    charts = [panel.chart.properties(title=panel.title, width=panel.width) for panel in panels]
    with warnings.catch_warnings():
        # A click is to pick in all of them.
        warnings.filterwarnings("ignore", "Automatically deduplicated", UserWarning)
        concat = alt.concat(*charts, columns=columns)
    return styled(concat.resolve_scale(color="independent", shape="independent"))  # type: ignore[no-any-return]
