"""The figure: costs as bars on a logarithmic axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslbench_plugins.blocks.studies.figures import new_figure
from sslbench_plugins.simulators.label_bottleneck.tables import CostRow, PoolRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def costs_figure(costs: list[CostRow], pool: list[PoolRow]) -> Figure:
    """A bar for each row that costs something, which a logarithmic axis needs."""
    bars = [(row.data_set, row.cost_usd) for row in costs]
    bars += [(f"{100 * row.fraction:.3g}% of the rest of {row.data_set}", row.cost_usd) for row in pool]
    bars = [(name, cost) for name, cost in bars if cost > 0]
    figure = new_figure(7, 1 + 0.4 * len(bars))
    axes = figure.subplots()
    # By position, since two rows may have one name.
    container = axes.barh(range(len(bars)), [cost for _, cost in bars], color="#4477aa")
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.bar_label(container, labels=[f"${cost:,.0f}" for _, cost in bars], padding=3)
    axes.set_xscale("log")
    axes.margins(x=0.25)
    axes.invert_yaxis()
    axes.set_xlabel("cost of the labels, dollars")
    return figure
