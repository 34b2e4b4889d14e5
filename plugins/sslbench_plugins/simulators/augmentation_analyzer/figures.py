"""The figures: the matrix of each reading, and one view by each augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import RandomState

from sslbench_plugins.blocks.studies.figures import new_figure, row_of_axes, row_of_pictures
from sslbench_plugins.blocks.studies.tables import Row
from sslbench_plugins.simulators.augmentation_analyzer.simple_views import WHITE, Batch, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def matrices_figure(matrices: Mapping[str, list[Row]], names: list[str]) -> Figure:
    """Heat maps side by side, each value written in its cell."""
    side = 0.9 * len(names) + 1.5
    figure = new_figure(2 * side, side)
    for axes, (title, rows) in zip(row_of_axes(figure, len(matrices)), matrices.items(), strict=True):
        values = np.array([[np.nan if row[name] is None else row[name] for name in names] for row in rows])
        heat_map(axes, values)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set(title=title.replace("_", " "), xlabel="second", ylabel="first")
    return figure


def heat_map(axes: Axes, values: Batch) -> None:
    """Correlations ``[N, N]``, 0..1, with their numbers; ``-`` for NaN."""
    axes.imshow(values, cmap="viridis", vmin=0, vmax=1)
    for (row, col), value in np.ndenumerate(values):
        # Only what is exactly 1 is shown as 1.
        text = "-" if np.isnan(value) else "1" if value == 1 else f"{value:.3f}"
        axes.text(col, row, text, ha="center", va="center", color="white" if value < 0.6 else "black")


def views_figure(image: Batch, views: Mapping[str, View], seed: int) -> Figure:
    """The image and one view by each augmentation."""
    batches = {"image": image, **{name: view(image[None], RandomState(seed), 1)[0] for name, view in views.items()}}
    pictures = {name: (pixels.transpose(1, 2, 0) / WHITE).clip(0, 1) for name, pixels in batches.items()}
    return row_of_pictures(pictures, (1.8, 2.1))
