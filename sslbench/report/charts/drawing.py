"""Charts as a page shows them: SVG that needs nothing, and a specification for vega-embed where scripts run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from sslbench.report.charts.panel import PICK, Panel, styled

TAG, ROLE = re.compile(r"<[a-z][^>]*>"), re.compile(r' (role|aria-[a-z]+)="[^"]*"')
"""of SVG; the page has words for a chart as a whole"""
PLACES, LONG = re.compile(r'(?<= d=")[^"]+|(?<= transform=")[^"]+'), re.compile(r"\d+\.\d\d+")
"""attributes that say where a mark is, and numbers in them that are more exact than a screen"""


def vega_lite(panel: Panel) -> dict[str, Any]:
    """The chart as Vega-Lite, of no width yet; one legend below the other, where a narrow place has room for one."""
    spec = dict(styled(panel.chart).to_dict())
    # Vega's own, which altair does not know.
    spec["config"]["legend"]["layout"] = {"bottom": {"direction": "vertical", "anchor": "start", "margin": 6}}
    return spec


def svg_of(spec: Mapping[str, Any], width: int) -> str:
    """The chart as SVG; ``width``: of what its axes enclose, pixels."""
    import vl_convert

    svg = str(vl_convert.vegalite_to_svg({**spec, "width": width}))
    return TAG.sub(lambda tag: ROLE.sub("", PLACES.sub(shortened, tag[0])), svg)


def shortened(places: re.Match[str]) -> str:
    """Numbers no more exact than a screen."""
    return LONG.sub(lambda number: f"{float(number[0]):.1f}", places[0])


def interactive(spec: Mapping[str, Any], filters: Iterable[str], picks: bool = True) -> dict[str, Any]:
    """As wide as its place in the page, whose selects ``#only-KIND`` and ``#pick`` drive it. A click in one chart
    drives the select, and with it all others. ``picks``: whether the page has ``#pick``."""
    kinds = list(filters)
    bind = {"bind": {"recipe": {"element": f"#{PICK}"}}} if picks else {}
    own = [{**param, **bind} for param in spec.get("params", ())]
    params = [{"name": f"only_{kind}", "value": "", "bind": {"element": f"#only-{kind}"}} for kind in kinds]
    transform = [{"filter": f"only_{kind} == '' || datum.{kind} == only_{kind}"} for kind in kinds]
    return {
        **spec,
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": [*own, *params],
        "transform": [*spec.get("transform", ()), *transform],
    }


@cache
def javascript() -> str:
    """vega-embed with all that it needs, for a page that asks nobody for anything."""
    import vl_convert

    return str(vl_convert.javascript_bundle())  # type: ignore[call-arg]
