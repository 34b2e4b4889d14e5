"""The overlap of two views: Pearson's correlation of their pixels, draw by draw."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench_plugins.blocks.studies.correlation import pearson_rows
from sslbench_plugins.simulators.augmentation_analyzer.simple_views import Batch, View

Correlations = NDArray[np.float64]
"""one for each draw, ``[draws]``; NaN where a view is constant"""
READINGS = ("pair", "composed")
PART = 1 << 21
"""values of one view that are held at once"""


def drawn_image() -> Batch:
    """Float ``[3, 64, 64]`` in 0..255: grey, a red disc, a blue rectangle, and last a green diagonal stripe."""
    image = np.full((3, 64, 64), 128.0)
    row, col = np.mgrid[:64, :64]
    for where, colour in (
        ((row - 16) ** 2 + (col - 16) ** 2 <= 10**2, (255, 0, 0)),
        ((row >= 40) & (row <= 55) & (col >= 40) & (col <= 57), (0, 0, 255)),
        (np.abs(row - col) <= 3, (0, 255, 0)),
    ):
        image[:, where] = np.array(colour, dtype=np.float64)[:, None]
    return image


def overlaps(image: Batch, first: View, second: View, reading: str, draws: int, rng: RandomState) -> Correlations:
    """Pearson's correlation of the flattened views, one for each draw: ``[3, S, S]`` -> ``[draws]``; NaN where a view
    is constant.

    ``pair``: view 1 by ``first``, view 2 by ``second``; ``composed``: both by ``first`` and then ``second``. All of the
    views are drawn independently. Raises ValueError for another reading or no draw.
    """
    if reading not in READINGS or draws < 1:
        raise ValueError(
            f"reading {reading!r} with {draws} draws; readings are {' and '.join(READINGS)}, draws 1 or more"
        )
    part = max(1, PART // image.size)
    sizes = [min(part, draws - start) for start in range(0, draws, part)]
    return np.concatenate([overlaps_at_once(image, first, second, reading, count, rng) for count in sizes])


def overlaps_at_once(
    image: Batch, first: View, second: View, reading: str, draws: int, rng: RandomState
) -> Correlations:
    """``overlaps`` with all draws in memory."""
    views = first(image[None], rng, draws)
    partners = (second if reading == "pair" else first)(image[None], rng, draws)
    if reading == "composed":
        views, partners = second(views, rng, draws), second(partners, rng, draws)
    values = pearson_rows(views.reshape(len(views), -1), partners.reshape(len(partners), -1))
    return np.broadcast_to(values, draws)


def defined(values: Correlations) -> Correlations:
    """Those that are not NaN."""
    return values[~np.isnan(values)]


def mean(values: Correlations) -> float | None:
    """Mean of those that are defined; None where none is."""
    known = defined(values)
    return float(known.mean()) if len(known) else None
