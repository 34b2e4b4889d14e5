"""Deep grey, 16-bit integers or floats: which value is white. One scale for all images of a data set, so that the
brightness of an image never depends on the image alone."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sslbench import ahead
from sslbench_plugins.blocks.images_on_disk.file_parts import Source

Kind = Literal["integer", "float"]
DEEPEST = 65535.0
WHITES = tuple(float(2**bits - 1) for bits in (1, 2, 3, 4, 5, 6, *range(8, 17)))
"""1, 3, 7, ... 63, 255, 511, ... 65535"""
OVERSHOOT = 1.1
"""of white, that floats reach after filters and resizing; what lies above white becomes white"""
JPEG = b"\xff\xd8"
"""what files begin with that are never deep"""
PART = 64
"""files that a thread looks at, at a time"""


def kind_of(image: Image.Image) -> Kind | None:
    """Of deep grey; None for images of 8 bits."""
    if image.mode.startswith("I;16") or image.mode == "I":
        return "integer"
    return "float" if image.mode == "F" else None


def white_for(kind: Kind, peak: float) -> float:
    """The smallest of WHITES (integers from 255 on) that is not below the largest value."""
    slack = 1.0 if kind == "integer" else OVERSHOOT
    allowed = [white for white in WHITES if kind == "float" or white >= 255]
    return next((white for white in allowed if peak <= slack * white), DEEPEST)


def eight_bits(values: NDArray[np.float64], kind: Kind, white: float) -> NDArray[np.uint8]:
    """Grey values, ``white`` as 255. Raises ValueError for negative ones, those beyond 16 bits or white, and NaN."""
    low, high = float(values.min()), float(values.max())
    if not is_understood(kind, low, high):
        raise ValueError(f"its grey values are {low:g}..{high:g}; 0..{DEEPEST:g} are understood")
    if high > OVERSHOOT * white:
        raise ValueError(f"its grey values are {low:g}..{high:g}, and white is {white:g}")
    return (values * (255 / white)).clip(max=255).round().astype(np.uint8)


def is_understood(kind: Kind, low: float, high: float) -> bool:
    """Whether values lie in 0..65535; NaN does not."""
    return low >= 0 and high <= DEEPEST * (OVERSHOOT if kind == "float" else 1)


def peak_of(source: Source, formats: tuple[str, ...]) -> tuple[Kind, float] | None:
    """Kind and largest value of a deep grey image; None for any other, and for one that cannot be read."""
    try:
        raw = source if isinstance(source, bytes) else source.read_bytes()
        if raw.startswith(JPEG):
            return None
        with Image.open(io.BytesIO(raw), formats=formats) as image:
            kind = kind_of(image)
            if kind is None:
                return None
            values = np.asarray(image, dtype=np.float64)
        low, high = float(values.min()), float(values.max())
        return (kind, high) if is_understood(kind, low, high) else None
    except Exception:  # whatever is wrong with it is said when the image is read
        return None


class GreyScale:
    """White of each kind of deep grey among images; they are looked through when the first deep one is met."""

    def __init__(self, sources: Sequence[Source], formats: Callable[[], tuple[str, ...]], threads: int = 1) -> None:
        self._sources, self._formats, self._threads = sources, formats, threads
        self._lock = Lock()
        self.given: Mapping[str, float] = {}
        """of kinds whose scale the user gives"""
        self.whites: Mapping[str, float] = {}
        """of kinds that were met"""

    def white(self, kind: Kind) -> float:
        """The value that becomes 255."""
        with self._lock:
            if kind not in self.whites:
                known = self.given if kind in self.given else self._found()
                self.whites = {**self.whites, kind: known.get(kind, DEEPEST if kind == "integer" else 1.0)}
            return self.whites[kind]

    def _found(self) -> dict[str, float]:
        formats = self._formats()
        parts = [self._sources[start : start + PART] for start in range(0, len(self._sources), PART)]
        peaks: dict[Kind, float] = {}
        for found in ahead(lambda part: [peak_of(source, formats) for source in part], parts, self._threads):
            for kind, high in filter(None, found):
                peaks[kind] = max(high, peaks.get(kind, 0.0))
        return {kind: white_for(kind, peak) for kind, peak in peaks.items()}
