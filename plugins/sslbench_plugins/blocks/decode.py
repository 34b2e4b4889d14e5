"""Encoded images -> uint8 RGB tensors of one size, on several threads; what cannot be read is named."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from sslbench import UserError

SMALLEST = 2
"""pixels on a side; less is a tracking pixel, not an image"""
PART = 256
"""images that a thread takes at a time"""
LARGE = 16 * 1024
"""bytes from which on an image is decoded faster by several threads"""
NAMED = 5
"""bad images that a message names one by one"""


@dataclass(frozen=True)
class Decoded:
    """Images that could be read, and those that could not."""

    images: Tensor
    """uint8 ``[N, 3, S, S]``"""
    kept: list[int]
    """which of the given ones they are"""
    bad: list[str]
    """``NAME: why`` of the others"""


Source = Path | bytes


def decode_all(sources: Sequence[Source], names: Sequence[str], size: int | None, on_error: str, where: str) -> Decoded:
    """Decode every source, in order.

    ``size``: shorter side resized to it (antialiased), then centre-cropped; None: as they are, all square and of one
    size. ``on_error="error"`` raises UserError naming what cannot be read, ``"skip"`` leaves it out. ``where``
    names the data set in messages.
    """

    def attempt(place: int) -> np.ndarray | str:
        try:
            return decode(sources[place], size)
        except Exception as error:
            return f"{names[place]}: {reason(error)}"

    def attempt_part(start: int) -> list[np.ndarray | str]:
        return [attempt(place) for place in range(start, min(start + PART, len(sources)))]

    # Filters are the process's, so they are set here and not by each thread.
    with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=workers(sources)) as pool:
        # Damaged metadata is no reason to refuse the pixels; an image that is too large to be true is.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        found = [answer for part in pool.map(attempt_part, range(0, len(sources), PART)) for answer in part]
    bad = [answer for answer in found if isinstance(answer, str)]
    if bad and on_error == "error":
        more = [f"{where}: and {len(bad) - NAMED} more"] if len(bad) > NAMED else []
        raise UserError(
            f"{where}: {len(bad)} of {len(sources)} images cannot be read; on_error=skip leaves them out",
            *(f"{where}: {line}" for line in bad[:NAMED]),
            *more,
        )
    kept = [place for place, answer in enumerate(found) if not isinstance(answer, str)]
    arrays = [found[place] for place in kept]
    if size is None:
        check_one_size(arrays, where)
    shape = arrays[0].shape if arrays else (size or 1, size or 1, 3)
    images = np.empty((len(arrays), 3, *shape[:2]), dtype=np.uint8)
    for place, array in enumerate(arrays):
        images[place] = array.transpose(2, 0, 1)
    return Decoded(torch.from_numpy(images), kept, bad)


def workers(sources: Sequence[Source]) -> int:
    """Threads to decode with: one for thumbnails, whose decoding is mostly Python's, which threads only hinder."""
    some = sources[:: max(1, len(sources) // 16)]
    sizes = [len(source) if isinstance(source, bytes) else source.stat().st_size for source in some]
    if sum(sizes) < LARGE * len(sizes):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_one_size(arrays: Sequence[np.ndarray], where: str) -> None:
    sizes = sorted({array.shape[:2] for array in arrays})
    if len(sizes) > 1 or any(height != width for height, width in sizes):
        shown = ", ".join(f"{width} x {height}" for height, width in sizes[:4]) + (", ..." if len(sizes) > 4 else "")
        raise UserError(f"{where}: images are {shown} pixels; size=N makes them N x N")


def decode(source: Source, size: int | None) -> np.ndarray:
    """One image: uint8 ``[S, S, 3]``. Raises whatever Pillow raises, or ValueError."""
    raw = source if isinstance(source, bytes) else source.read_bytes()
    if not raw:
        raise ValueError("the file is empty")
    with Image.open(io.BytesIO(raw)) as image:
        if min(image.size) < SMALLEST:
            raise ValueError(f"it is {image.width} x {image.height} pixels; at least {SMALLEST} on a side are needed")
        if size is not None and image.format == "JPEG":
            # Reads a JPEG at a half, a quarter or an eighth where that is still large enough.
            image.draft("RGB", (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(image) if "exif" in image.info else image
        return np.asarray(resized(to_rgb(upright), size))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: 16-bit and float grey are scaled to 8 bits, transparency lies on white."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        if image.mode == "F":
            low, high = float(values.min()), float(values.max())
            values = (values - low) * (255 / (high - low) if high > low else 0)
        else:
            values = values / 257 if values.max() > 255 else values
        return Image.fromarray(values.round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        whole = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", whole.size, (255, 255, 255, 255)), whole).convert("RGB")
    return image.convert("RGB")


def resized(image: Image.Image, size: int | None) -> Image.Image:
    """Shorter side to ``size``, centre crop."""
    if size is None or image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR)


def reason(error: Exception) -> str:
    """Why, in one line and without the address of a buffer."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "so many pixels that it may be a decompression bomb"
    return str(error).partition("\n")[0] or type(error).__name__
