"""The figure: NDVI of each version as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sslbench_plugins.blocks.studies.figures import row_of_pictures
from sslbench_plugins.simulators.scientific_image_analyzer.normalised_channels import Channels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def ndvi_figure(indices: Mapping[str, Channels]) -> Figure:
    """NDVI ``[H, W]`` by version, cut to -1..1, with one colour bar."""
    pictures = {name: index.clip(-1, 1) for name, index in indices.items()}
    figure = row_of_pictures(pictures, (3, 3.2), cmap="RdYlGn", vmin=-1, vmax=1)
    figure.colorbar(figure.axes[-1].images[0], ax=figure.axes, label="NDVI (beyond -1..1 cut)", shrink=0.9)
    return figure
