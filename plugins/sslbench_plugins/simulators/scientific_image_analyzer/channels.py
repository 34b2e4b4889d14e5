"""The channels: eight drawn ones, or a user's from a NumPy array or, where rasterio is installed, a GeoTIFF."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench import UserError

Channels = NDArray[np.float64]
TIFF = {".tif", ".tiff"}
LARGEST = 1e100
"""size of a value; squares of larger ones overflow"""
CHANNELS = (
    ("Red", 20.0, 235.0, "counts"),
    ("Green", 20.0, 235.0, "counts"),
    ("Blue", 20.0, 235.0, "counts"),
    ("NIR-1", 500.0, 3000.0, "counts"),
    ("NIR-2", 500.0, 3000.0, "counts"),
    ("Thermal", 250.0, 320.0, "K"),
    ("Radar-1", -25.0, 5.0, "dB"),
    ("Radar-2", -25.0, 5.0, "dB"),
)
"""name, lowest and highest value, unit"""
PAIRS = (("Red", "Green"), ("Red", "NIR-1"), ("NIR-1", "NIR-2"), ("Thermal", "Radar-1"))
RED, NIR = 0, 3
"""indices of the two channels in ``CHANNELS``"""
MOST_PAIRS = 28
"""pairs of a user's image whose correlation is shown"""


@dataclass(frozen=True)
class ChannelSource:
    """What is known of the channels; ``image`` is None where they are drawn."""

    names: Sequence[str]
    units: Sequence[str]
    pairs: Sequence[tuple[str, str]]
    """whose correlation is shown"""
    image: Channels | None

    def raw(self, seed: int) -> Channels:
        """Float64 ``[C, H, W]``: drawn, channel after channel uniform in its range, or the image whatever the seed."""
        if self.image is not None:
            return self.image
        rng = RandomState(seed)
        return np.stack([rng.uniform(low, high, (128, 128)) for _, low, high, _ in CHANNELS])


def channel_source(path: str, names: Sequence[str], red: int, nir: int) -> ChannelSource:
    """A user's image, or the eight drawn channels where ``path`` is empty. Raises UserError for channels that the image
    does not have, names that do not fit, and parameters of an image where there is none."""
    if not path:
        if names or (red, nir) != (RED, NIR):
            raise UserError("names, red and nir describe your own image; give it with image=PATH")
        return ChannelSource([c[0] for c in CHANNELS], [c[3] for c in CHANNELS], PAIRS, None)
    image = read_channels(path, "image")
    count = len(image)
    for key, index in (("red", red), ("nir", nir)):
        if index >= count:
            raise UserError(f"{key} = {index}: the image has {count} channels, 0 to {count - 1}")
    if names and (len(names) != count or len(set(names)) != count):
        raise UserError(f"names = {'+'.join(names)!r}: {count} different names are needed, one a channel")
    names = list(names) or [f"channel-{index}" for index in range(count)]
    return ChannelSource(names, [""] * count, list(combinations(names, 2))[:MOST_PAIRS], image)


def read_channels(path: str, where: str) -> Channels:
    """Float64 ``[C, H, W]`` with two channels or more, every value finite. ``where`` names the parameter. Raises
    UserError for another shape, values that are no real numbers, are missing (a GeoTIFF's no-data value) or beyond
    ``LARGEST``, and where a file cannot be read."""
    file = Path(os.path.expanduser(path))
    prefix = f"{where} = {path!r}"
    if not file.is_file():
        raise UserError(f"{prefix}: no such file; expected .npy, .tif or .tiff with [channels, rows, columns]")
    if file.suffix.lower() not in {".npy", *TIFF}:
        ending = file.suffix or "a file without an ending"
        raise UserError(f"{prefix}: cannot read {ending}; expected .npy, .tif or .tiff")
    if file.suffix.lower() in TIFF:
        return checked(read_tiff(file, prefix), prefix)
    try:
        return checked(np.load(file, allow_pickle=False), prefix)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{prefix}: not a NumPy array: {str(error).partition(chr(10))[0]}") from None


def checked(array: NDArray[Any], prefix: str) -> Channels:
    """The array as float64. Raises UserError, beginning with ``prefix``, for what is no image of channels."""
    if array.ndim != 3 or len(array) < 2 or 0 in array.shape:
        shape = " x ".join(map(str, array.shape)) or "a single number"
        raise UserError(f"{prefix}: shape {shape}; expected [channels, rows, columns] with two channels or more")
    if array.dtype.kind not in "uif":
        raise UserError(f"{prefix}: values of type {array.dtype}; expected integers or floats")
    values = array.astype(np.float64)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise UserError(f"{prefix}: {bad} of {values.size} values are not finite; fill them before analysing")
    if np.abs(values).max() > LARGEST:
        raise UserError(f"{prefix}: a value is {np.abs(values).max():.3g} in size; up to {LARGEST:g} are allowed")
    return values


def read_tiff(file: Path, prefix: str) -> NDArray[Any]:
    """All channels. Raises UserError without rasterio, for another file, and where values are missing."""
    try:
        rasterio = import_module("rasterio")
    except ModuleNotFoundError:
        raise UserError(
            f"{prefix}: GeoTIFF needs rasterio, which is not installed: pip install 'sslbench[geotiff]'"
        ) from None
    try:
        # A TIFF without a place on earth is as good an image.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(file) as opened:
                channels = opened.read(masked=True)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise UserError(f"{prefix}: not a GeoTIFF: {str(error).partition(chr(10))[0]}") from None
    # What the file calls no data is an ordinary number in the array: it would be analysed as one.
    missing = int(np.ma.getmaskarray(channels).sum())
    if missing:
        raise UserError(
            f"{prefix}: {missing} of {channels.size} values are no data; fill or cut them off before analysing"
        )
    return np.asarray(np.ma.getdata(channels))
