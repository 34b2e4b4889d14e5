"""The figure: the first mask of each strategy at each ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sslbench_plugins.blocks.studies.figures import new_figure
from sslbench_plugins.simulators.masking_comparator.coverage import Grid
from sslbench_plugins.simulators.masking_comparator.tables import Samples

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def masks_figure(samples: Samples, grid: Grid) -> Figure:
    """A row for each strategy, a column for each ratio; masked patches are grey."""
    names, ratios = list(dict.fromkeys(n for n, _ in samples)), list(dict.fromkeys(r for _, r in samples))
    figure = new_figure(2 * len(ratios) + 0.5, 2 * len(names) + 0.5)
    values = np.arange(1, grid[0] * grid[1] + 1).reshape(grid)
    for row, name in zip(figure.subplots(len(names), len(ratios), squeeze=False), names, strict=True):
        for axes, ratio in zip(row, ratios, strict=True):
            masks = samples[name, ratio].masked
            masked = np.ones(grid, dtype=bool) if masks is None else masks[0].reshape(grid)
            axes.imshow(np.ma.masked_array(values, masked), cmap="viridis", vmin=1, vmax=values.max())
            axes.set(title=f"{name}, {ratio:g}", xticks=[], yticks=[], facecolor="#dddddd")
    return figure
