"""The figure: lag, staleness and variance over the steps, for each start."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from sslbench_plugins.blocks.studies.figures import new_figure
from sslbench_plugins.simulators.momentum_dynamics.tables import STARTS, Trajectories

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ("-", "--", "-.", ":")
PANELS = {
    "L2 distance": "l2_distance",
    "staleness, steps": "staleness_steps",
    "variance over time": "variance_over_time",
}


def dynamics_figure(paths: Trajectories) -> Figure:
    """A row for each start, a line for each momentum."""
    figure = new_figure(12, 6)
    grid = figure.subplots(len(STARTS), len(PANELS), sharex=True)
    for row, start in zip(grid, STARTS, strict=True):
        for axes, (label, name) in zip(row, PANELS.items(), strict=True):
            # Styles differ, since lines of two momenta may lie on each other.
            for style, m in zip(cycle(STYLES), [m for path_start, m in paths if path_start == start], strict=False):
                values = paths[start, m].quantity(name)
                axes.plot(np.arange(1, len(values) + 1), values, style, label=f"m = {m:g}", linewidth=1.3)
            axes.set(title=f"{label} ({start})", xlabel="step")
        row[2].set_yscale("symlog", linthresh=1e-8)
    grid[0][0].legend(fontsize="small")
    return figure
