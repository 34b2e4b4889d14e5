"""A drawn image, five plain augmentations of batches of colour images, the overlap of two views, and the tables.

Each augmentation maps float ``[B, 3, S, S]`` in 0..255 and a RandomState to the same shape and range. A batch of one
that needs no random draw stays a batch of one: every draw would be the same. The overlap is Pearson's correlation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from sslbench_plugins.blocks.studies.correlation import pearson_rows
from sslbench_plugins.blocks.studies.results import Row, best_keys

Batch = NDArray[np.float64]
View = Callable[[Batch, RandomState, int], Batch]
"""images, generator, number of draws -> views"""
WHITE = 255.0
CROP = 0.75
"""side of the crop, as a share of the image's: 48 of 64 pixels"""
BRIGHTNESS = (0.8, 1.2)
SIGMA = 2.0
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


@lru_cache
def bilinear(inputs: int, outputs: int) -> Batch:
    """``[outputs, inputs]``: the matrix that resizes a line of pixels, between the centres of pixels."""
    position = ((np.arange(outputs) + 0.5) * inputs / outputs - 0.5).clip(0, inputs - 1)
    low = np.minimum(position.astype(int), max(inputs - 2, 0))
    matrix = np.zeros((outputs, inputs))
    matrix[np.arange(outputs), low] = 1 - (position - low)
    if inputs > 1:
        matrix[np.arange(outputs), low + 1] += position - low
    return matrix


def crop(images: Batch, rng: RandomState, draws: int) -> Batch:
    """A square of three quarters of the side at a uniform position, resized back."""
    side = images.shape[-1]
    cut = max(1, round(CROP * side))
    top, left = rng.randint(0, side - cut + 1, (2, draws))
    windows = sliding_window_view(images, (cut, cut), axis=(2, 3))
    crops = windows[np.arange(draws) if len(images) > 1 else np.zeros(draws, int), :, top, left]
    matrix = bilinear(cut, side)
    return np.asarray(matrix @ (crops.reshape(-1, cut) @ matrix.T).reshape(draws, 3, cut, side))


def flip(images: Batch, rng: RandomState, draws: int) -> Batch:
    """Left and right exchanged."""
    return images[..., ::-1]


def brightness(images: Batch, rng: RandomState, draws: int) -> Batch:
    """Each image times its own uniform factor, clipped."""
    factors = rng.uniform(*BRIGHTNESS, draws)
    return (images * factors[:, None, None, None]).clip(0, WHITE)


def blur(images: Batch, rng: RandomState, draws: int) -> Batch:
    """Gaussian, each channel by itself."""
    return np.asarray(gaussian_filter1d(gaussian_filter1d(images, SIGMA, axis=2), SIGMA, axis=3))


def greyscale(images: Batch, rng: RandomState, draws: int) -> Batch:
    """The mean of red, green and blue in all three."""
    return np.broadcast_to(images.mean(axis=1, keepdims=True), images.shape)


VIEWS: dict[str, View] = {view.__name__: view for view in (crop, flip, brightness, blur, greyscale)}


def overlaps(image: Batch, first: View, second: View, reading: str, draws: int, rng: RandomState) -> Correlations:
    """Pearson's correlation of the flattened views, one for each draw: ``[3, S, S]`` -> ``[draws]``; NaN where a view
    is constant. ``pair``: view 1 by ``first``, view 2 by ``second``; ``composed``: both by ``first`` and then
    ``second``. All of the views are drawn independently. Raises ValueError for another reading or no draw."""
    if reading not in READINGS or draws < 1:
        raise ValueError(
            f"reading {reading!r} with {draws} draws; readings are {' and '.join(READINGS)}, draws 1 or more"
        )
    part = max(1, PART // image.size)
    parts = []
    for count in [min(part, draws - start) for start in range(0, draws, part)]:
        views = first(image[None], rng, count)
        partners = (second if reading == "pair" else first)(image[None], rng, count)
        if reading == "composed":
            views, partners = second(views, rng, count), second(partners, rng, count)
        values = pearson_rows(views.reshape(len(views), -1), partners.reshape(len(partners), -1))
        parts.append(np.broadcast_to(values, count))
    return np.concatenate(parts)


def defined(values: Correlations) -> Correlations:
    """Those that are not NaN."""
    return values[~np.isnan(values)]


def mean(values: Correlations) -> float | None:
    """Mean of those that are defined; None where none is."""
    known = defined(values)
    return float(known.mean()) if len(known) else None


def lowest(values: Correlations) -> float | None:
    """The lowest that is defined; None where none is."""
    return min(defined(values).tolist(), default=None)


def undefined_draws(*readings: Correlations) -> str:
    """How many draws have no correlation, and why; empty where all have."""
    count = max(int(np.isnan(values).sum()) for values in readings)
    return f"a view was constant, which has no correlation, in {count} of {len(readings[0])} draws" if count else ""


def pair_row(first: str, second: str, pair: Correlations, composed: Correlations) -> Row:
    """Means over the draws of both readings; None where no draw has one."""
    row = {"first": first, "second": second, "pair_correlation": mean(pair), "composed_correlation": mean(composed)}
    return row | {"reason": undefined_draws(pair, composed)}


def matrix(names: Iterable[str], pairs: list[Row], reading: str) -> list[Row]:
    """A row for each first augmentation, a column for each second."""
    values = {(row["first"], row["second"]): row[f"{reading}_correlation"] for row in pairs}
    rows: list[Row] = [{"first": first, **{second: values[first, second] for second in names}} for first in names]
    return [{**row, "reason": "no draw has a correlation: see pairs" if None in row.values() else ""} for row in rows]


def extremes(pairs: list[Row]) -> list[Row]:
    """The hardest and the easiest pair of each reading, self-pairs included; ties named."""
    rows: list[Row] = []
    for reading in READINGS:
        values = {f"{row['first']} + {row['second']}": row[f"{reading}_correlation"] for row in pairs}
        known = [value for value in values.values() if value is not None]
        for which, best in (("hardest", min), ("easiest", max)):
            row = {"reading": reading, "which": which, "pairs": ", ".join(best_keys(values, best)) or None}
            reason = "" if known else "no pair has a defined correlation"
            rows.append({**row, "correlation": best(known, default=None), "reason": reason})
    return rows


def self_pairs(draws: Mapping[str, Correlations]) -> list[Row]:
    """For each augmentation the draws of its self-pair, and last all of them together."""
    together = np.concatenate(list(draws.values()))
    return [
        {
            "augmentation": name,
            "mean": mean(values),
            "minimum": lowest(values),
            "maximum": max(defined(values).tolist(), default=None),
            "share_exactly_one": mean((defined(values) == 1).astype(float)),
            "reason": undefined_draws(values),
        }
        for name, values in [*draws.items(), ("all", together)]
    ]
