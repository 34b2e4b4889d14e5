"""One encoded image -> RGB pixels of one size, whatever its format and mode."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Pixels = NDArray[np.uint8]
SMALLEST = 2
"""pixels on a side; less is a tracking pixel, not an image"""
REFUSED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""formats of Pillow that start another program or hold no pixels that it can read"""


def decode(source: Path | bytes, size: int | None) -> Pixels:
    """One image, shorter side to ``size``, centre crop: uint8 ``[S, S, 3]``. Raises what Pillow does, or ValueError."""
    raw = source if isinstance(source, bytes) else source.read_bytes()
    if not raw:
        raise ValueError("the file is empty")
    with Image.open(io.BytesIO(raw), formats=formats()) as image:
        if min(image.size) < SMALLEST:
            raise ValueError(f"it is {image.width} x {image.height} pixels; at least {SMALLEST} on a side are needed")
        if size is not None and image.format == "JPEG":
            # Reads a JPEG at a half, a quarter or an eighth where that is still large enough.
            image.draft("RGB", (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(image) if "exif" in image.info else image
        rgb = to_rgb(upright)
        if size is None or rgb.size == (size, size):
            return np.asarray(rgb)
        return np.asarray(ImageOps.fit(rgb, (size, size), method=Image.Resampling.BILINEAR))


@cache
def formats() -> tuple[str, ...]:
    """What Pillow may take a file for, the usual ones first."""
    Image.init()
    usual = ("JPEG", "PNG")
    return (*usual, *(name for name in Image.ID if name not in REFUSED and name not in usual))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: deep grey is scaled to 8 bits, transparency lies on white."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(eight_bits(np.asarray(image, dtype=np.float64), image.mode)).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        whole = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", whole.size, (255, 255, 255, 255)), whole).convert("RGB")
    return image.convert("RGB")


def eight_bits(values: NDArray[np.float64], mode: str) -> Pixels:
    """Deep grey by a scale that does not depend on the image: integers are 16-bit, 0..65535 (Pillow opens a 16-bit
    PNG as ``I`` or ``I;16``, by its version); floats are 0..1, or 0..255 where one exceeds 1. Raises ValueError beyond.
    """
    low, high = float(values.min()), float(values.max())
    limit = 255.0 if mode == "F" else 65535.0
    if not (low >= 0 and high <= limit):
        raise ValueError(f"its grey values are {low:g}..{high:g}; 0..{limit:g} are understood")
    white = 1.0 if mode == "F" and high <= 1 else limit
    return (values * (255 / white)).round().astype(np.uint8)


def reason(error: Exception) -> str:
    """Why, in one line and without the address of a buffer."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "so many pixels that it may be a decompression bomb"
    return str(error).partition("\n")[0] or type(error).__name__
