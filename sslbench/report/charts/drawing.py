"""Charts as a page shows them: SVG that needs nothing, and a specification for vega-embed where scripts run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import altair as alt

from sslbench.report.charts.panel import PICK, Panel, styled


def svg_of(panel: Panel) -> str:
    """The chart as SVG, of the panel's width."""
    import vl_convert

    spec = styled(panel.chart.properties(width=panel.width)).to_dict()
    return str(vl_convert.vegalite_to_svg(spec))


def specification(panel: Panel, filters: Iterable[str]) -> dict[str, Any]:
    """Vega-Lite as wide as its place in the page. The selects ``#only-KIND`` and ``#pick`` of the page drive it, and a
    click in one chart drives the select."""
    chart = panel.chart.properties(width="container", autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    params = []
    for kind in filters:
        params.append(alt.param(name=f"only_{kind}", value="", bind=alt.BindDirect(element=f"#only-{kind}")))
        chart = chart.transform_filter(f"only_{kind} == '' || datum.{kind} == only_{kind}")
    spec: dict[str, Any] = styled(chart.add_params(*params)).to_dict()
    for param in spec.get("params", ()):
        if param["name"] == PICK:
            param["bind"] = {"recipe": {"element": f"#{PICK}"}}
    return spec


def javascript() -> str:
    """vega-embed with all that it needs, for a page that asks nobody for anything."""
    import vl_convert

    return str(vl_convert.javascript_bundle())  # type: ignore[call-arg]
