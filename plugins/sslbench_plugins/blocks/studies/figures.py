"""Figures of matplotlib, which is imported only when one is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches, whose parts are laid out without overlap."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def row_of_axes(figure: Figure, columns: int) -> list[Axes]:
    """Axes side by side, also where there is only one."""
    return list(figure.subplots(1, columns, squeeze=False)[0])


def row_of_pictures(pictures: Mapping[str, NDArray[Any]], size: tuple[float, float], **shown: Any) -> Figure:
    """Images side by side with their names: ``[H, W]``, or ``[H, W, 3]`` in 0..1.

    ``size``: width and height of one, inches; ``shown`` goes to ``imshow``, such as ``cmap="gray"``.
    """
    figure = new_figure(size[0] * len(pictures), size[1])
    for axes, (name, picture) in zip(row_of_axes(figure, len(pictures)), pictures.items(), strict=True):
        axes.imshow(np.asarray(picture), **shown)
        axes.set_title(name)
        axes.set_axis_off()
    return figure
