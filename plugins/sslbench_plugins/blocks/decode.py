"""Encoded images -> uint8 RGB tensors of one size, on several threads; what cannot be read is named."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from sslbench import UserError

SMALLEST = 2
"""pixels on a side; less is a tracking pixel, not an image"""
PART = 256
"""thumbnails that a thread takes at a time"""
LARGE_PART = 8
"""large images that a thread takes at a time: few, so that a small folder keeps every thread busy"""
LARGE = 16 * 1024
"""bytes from which on an image is decoded faster by several threads"""
REFUSED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""formats of Pillow that start another program or hold no pixels that it can read"""
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
        except MemoryError:
            raise
        except Exception as error:
            return f"{names[place]}: {reason(error)}"

    threads = workers(sources)
    step = PART if threads == 1 else LARGE_PART

    def attempt_part(start: int) -> list[np.ndarray | str]:
        return [attempt(place) for place in range(start, min(start + step, len(sources)))]

    images: np.ndarray | None = None
    kept: list[int] = []
    bad: list[str] = []
    sizes: set[tuple[int, int]] = set()
    # Filters are the process's, so they are set here and not by each thread.
    with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=threads) as pool:
        # Damaged metadata is no reason to refuse the pixels; an image that is too large to be true is.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        parts = pool.map(attempt_part, range(0, len(sources), step))
        for place, answer in enumerate(chain.from_iterable(parts)):
            if isinstance(answer, str):
                bad.append(answer)
            else:
                # Copied as they come, so that the whole set lies in memory once.
                if images is None:
                    images = np.empty((len(sources), 3, *answer.shape[:2]), dtype=np.uint8)
                sizes.add(answer.shape[:2])
                if len(sizes) == 1:
                    images[len(kept)] = answer.transpose(2, 0, 1)
                kept.append(place)
    if bad and on_error == "error":
        more = [f"{where}: and {len(bad) - NAMED} more"] if len(bad) > NAMED else []
        raise UserError(
            f"{where}: {len(bad)} of {len(sources)} images cannot be read; on_error=skip leaves them out",
            *(f"{where}: {line}" for line in bad[:NAMED]),
            *more,
        )
    check_one_size(sizes, where)
    if images is None:
        images = np.empty((0, 3, size or 1, size or 1), dtype=np.uint8)
    return Decoded(torch.from_numpy(images[: len(kept)]), kept, bad)


def workers(sources: Sequence[Source]) -> int:
    """Threads to decode with: one for thumbnails, whose decoding is mostly Python's, which threads only hinder."""
    some = sources[:: max(1, len(sources) // 16)]
    sizes = [len(source) if isinstance(source, bytes) else source.stat().st_size for source in some]
    if sum(sizes) < LARGE * len(sizes):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_one_size(sizes: set[tuple[int, int]], where: str) -> None:
    if len(sizes) > 1 or any(height != width for height, width in sizes):
        shown = ", ".join(f"{width} x {height}" for height, width in sorted(sizes)[:4])
        shown += ", ..." if len(sizes) > 4 else ""
        raise UserError(f"{where}: images are {shown} pixels; size=N makes them N x N")


def decode(source: Source, size: int | None) -> np.ndarray:
    """One image: uint8 ``[S, S, 3]``. Raises whatever Pillow raises, or ValueError."""
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
        return np.asarray(resized(to_rgb(upright), size))


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


def eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """Deep grey by a scale that does not depend on the image: integers are 16-bit, 0..65535 (Pillow opens a 16-bit
    PNG as ``I`` or ``I;16``, by its version); floats are 0..1, or 0..255 where one exceeds 1. Raises ValueError beyond.
    """
    low, high = float(values.min()), float(values.max())
    limit = 255.0 if mode == "F" else 65535.0
    if not (low >= 0 and high <= limit):
        raise ValueError(f"its grey values are {low:g}..{high:g}; 0..{limit:g} are understood")
    white = 1.0 if mode == "F" and high <= 1 else limit
    return (values * (255 / white)).round().astype(np.uint8)


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
