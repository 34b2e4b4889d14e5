"""Images of any number of channels from files: NumPy arrays, and GeoTIFF where rasterio is installed."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslbench import UserError

TIFF = {".tif", ".tiff"}
LARGEST = 1e100
"""size of a value; squares of larger ones overflow"""


def read_channels(path: str, where: str) -> NDArray[np.float64]:
    """Float64 ``[C, H, W]`` with two channels or more, every value finite. ``where`` names the parameter.

    Raises UserError for another shape, values that are no real numbers, are missing (a GeoTIFF's no-data value) or
    beyond ``LARGEST``, and where a file cannot be read.
    """
    file = Path(path).expanduser()
    prefix = f"{where} = {path!r}"
    if not file.is_file():
        raise UserError(f"{prefix}: no such file; expected .npy, .tif or .tiff with [channels, rows, columns]")
    if file.suffix.lower() not in {".npy", *TIFF}:
        raise UserError(
            f"{prefix}: cannot read {file.suffix or 'a file without an ending'}; expected .npy, .tif or .tiff"
        )
    array = read_tiff(file, prefix) if file.suffix.lower() in TIFF else read_numpy(file, prefix)
    return checked(array, prefix)


def checked(array: NDArray[Any], prefix: str) -> NDArray[np.float64]:
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


def read_numpy(file: Path, prefix: str) -> NDArray[Any]:
    """Whatever array is in the file. Raises UserError where there is none."""
    try:
        array: NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{prefix}: not a NumPy array: {str(error).partition(chr(10))[0]}") from None
    return array


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
    values: NDArray[Any] = np.ma.getdata(channels)
    return values
