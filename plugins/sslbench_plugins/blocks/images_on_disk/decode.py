"""One encoded image -> RGB pixels of one size, whatever its format and mode."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from sslbench_plugins.blocks.images_on_disk.file_parts import Source
from sslbench_plugins.blocks.images_on_disk.grey import GreyScale, Kind, eight_bits, kind_of

Pixels = NDArray[np.uint8]
DIGEST = 16
"""bytes of an image's digest"""
SMALLEST = 2
"""pixels on a side; less is a tracking pixel, not an image"""
REFUSED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""formats of Pillow that start another program or hold no pixels that it can read"""


@dataclass(frozen=True)
class Decoded:
    """One image that was read."""

    pixels: Pixels
    """uint8 ``[S, S, 3]``"""
    sides: tuple[int, int]
    """smaller and larger one before it was resized, pixels"""
    digest: bytes
    """of the encoded bytes"""
    more_frames: int = 0
    """after the first, which is the one that is read"""
    for_cpu: str = ""
    """why a GPU does not decode it, see ``why_not_on_gpu``"""


def decode(source: Source, size: int | None, white: Callable[[Kind], float] | None = None) -> Decoded:
    """One image, shorter side to ``size``, centre crop. ``white``: the value of deep grey that becomes 255, by its
    kind; None: as if it were the only image of its data set. Raises what Pillow does, or ValueError."""
    raw = source if isinstance(source, bytes) else source.read_bytes()
    if not raw:
        raise ValueError("the file is empty")
    white = white or GreyScale([raw], formats).white
    with Image.open(io.BytesIO(raw), formats=formats()) as image:
        sides, for_cpu = (min(image.size), max(image.size)), why_not_on_gpu(image)
        if sides[0] < SMALLEST:
            raise ValueError(f"it is {image.width} x {image.height} pixels; at least {SMALLEST} on a side are needed")
        if size is not None and image.format == "JPEG":
            # Reads a JPEG at a half, a quarter or an eighth where that is still large enough.
            image.draft("RGB", (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(image) if "exif" in image.info else image
        rgb = to_rgb(upright, white)
        if not (size is None or rgb.size == (size, size)):
            rgb = ImageOps.fit(rgb, (size, size), method=Image.Resampling.BILINEAR)
        digest = blake2b(raw, digest_size=DIGEST).digest()
        # A phone's second frame is a preview or a map of the first.
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        return Decoded(np.asarray(rgb), sides, digest, frames - 1, for_cpu)


def why_not_on_gpu(image: Image.Image) -> str:
    """Why the decoder of a GPU would refuse an opened image, be slow, or get other colours or another side up; empty
    where it would not."""
    if image.format != "JPEG":
        return image.format or "unknown format"
    if image.mode != "RGB":
        return "JPEG in grey or CMYK"
    if image.info.get("progressive"):
        return "progressive JPEG"
    if image.info.get("adobe_transform") == 0 or bytes(layer[0] for layer in image.layer) == b"RGB":  # type: ignore[attr-defined]
        return "JPEG of red, green and blue"
    if "exif" in image.info and image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        return "JPEG that is turned by its metadata"
    return ""


@cache
def formats() -> tuple[str, ...]:
    """What Pillow may take a file for, the usual ones first."""
    Image.init()
    usual = ("JPEG", "PNG")
    return (*usual, *(name for name in Image.ID if name not in REFUSED and name not in usual))


def to_rgb(image: Image.Image, white: Callable[[Kind], float]) -> Image.Image:
    """Any mode to RGB: deep grey is scaled to 8 bits, transparency lies on white."""
    kind = kind_of(image)
    if kind is not None:
        return Image.fromarray(eight_bits(np.asarray(image, dtype=np.float64), kind, white(kind))).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        whole = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", whole.size, (255, 255, 255, 255)), whole).convert("RGB")
    return image.convert("RGB")


def reason(error: Exception) -> str:
    """Why, in one line and without the address of a buffer."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "so many pixels that it may be a decompression bomb"
    return str(error).partition("\n")[0] or type(error).__name__
