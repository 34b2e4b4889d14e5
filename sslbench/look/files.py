"""What the files of a data set are: formats, channels, and those that are unlike usual photographs. Reads headers."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image

from sslbench.train.data import Splits

MOST = 20_000
"""files whose headers are read"""
LONG = 3.0
"""longer side over the shorter one, above which a shape is unusual"""
APART = 4.0
"""factor by which a side is unlike the median"""
ORIENTATION = 0x0112
"""tag of EXIF"""
CHANNELS = {"1": "grey", "L": "grey", "LA": "grey", "La": "grey", "F": "deep grey", "CMYK": "CMYK", "LAB": "Lab"}


SAME = {"MPO": ("JPEG",), "DIB": ("BMP",), "JPEG": ("MPO",)}
"""format -> others whose endings it may have"""


@dataclass(frozen=True)
class Header:
    """What a file says of itself."""

    format: str
    mode: str
    width: int
    height: int
    frames: int
    turned: bool
    transparent: bool
    misnamed: bool
    """its ending is that of another format"""

    @property
    def channels(self) -> str:
        """In a word."""
        return "deep grey" if self.mode.startswith("I") else CHANNELS.get(self.mode, "colour")

    @property
    def short(self) -> int:
        """The smaller side, pixels."""
        return min(self.width, self.height)

    @property
    def long(self) -> int:
        """The larger side, pixels."""
        return max(self.width, self.height)


@dataclass(frozen=True)
class OddFile:
    """A file that is unlike usual photographs, or unlike the others."""

    path: str
    split: str
    """``train`` or ``test``"""
    index: int
    """in its split"""
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class FileFacts:
    """What the headers of files show."""

    files: int
    """that there are"""
    headers: int
    """that were read"""
    root: str
    """folder that all lie below"""
    formats: Mapping[str, int]
    channels: Mapping[str, int]
    odd: tuple[OddFile, ...]

    @property
    def by_kind(self) -> dict[str, list[str]]:
        """What is odd -> the files, below the root, the most frequent kind first."""
        kinds: dict[str, list[str]] = {}
        for file in self.odd:
            for kind in file.kinds:
                kinds.setdefault(kind, []).append(os.path.relpath(file.path, self.root))
        return dict(sorted(kinds.items(), key=lambda item: -len(item[1])))


def file_facts(data: Splits) -> FileFacts | None:
    """Of the files that the splits name, evenly spread ones where there are more than ``MOST``; None where there are
    none."""
    named = [
        (path, split, index)
        for split in ("train", "test")
        for index, path in enumerate(getattr(data, split).paths)
        if os.path.isfile(path)
    ]
    if not named:
        return None
    some = [named[place * len(named) // min(MOST, len(named))] for place in range(min(MOST, len(named)))]
    headers = [(item, header) for item in some if (header := header_of(Path(item[0]))) is not None]
    typical = median(header.short for _, header in headers) if headers else 0
    odd = [
        OddFile(path, split, index, kinds)
        for (path, split, index), header in headers
        if (kinds := oddities(header, typical, data.read_size or 0))
    ]
    return FileFacts(
        len(named),
        len(headers),
        root_of([path for path, _, _ in named]),
        dict(Counter(header.format for _, header in headers).most_common()),
        dict(Counter(header.channels for _, header in headers).most_common()),
        tuple(odd),
    )


def root_of(paths: Sequence[str]) -> str:
    """The folder that all lie below."""
    return os.path.commonpath([os.path.dirname(path) for path in paths])


def header_of(path: Path) -> Header | None:
    """None for a file that is no image (any more)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
                turned = image.getexif().get(ORIENTATION, 1) not in (0, 1)
                transparent = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
                written = image.format or ""
                misnamed = format_of_ending(path) not in (written, *SAME.get(written, ()), "")
                return Header(written, image.mode, *image.size, frames, turned, transparent, misnamed)
    except Exception:  # whatever a damaged header makes of Pillow
        return None


def format_of_ending(path: Path) -> str:
    """Pillow's name of the format; empty for an ending that it does not know."""
    return Image.registered_extensions().get(path.suffix.lower(), "")


def oddities(header: Header, typical: float, read_size: int) -> tuple[str, ...]:
    """What is odd about a file. ``typical``: the median of the smaller sides; ``read_size``: side after reading."""
    short, long = header.short, header.long
    found = {
        "deep grey, read as 8 bits": header.channels == "deep grey",
        f"{header.channels}, read as RGB": header.channels in ("CMYK", "Lab"),
        "transparent, read without transparency": header.transparent,
        "several frames, of which the first is read": header.frames > 1,
        "turned by EXIF": header.turned,
        f"{header.format} under the ending of another format": header.misnamed,
        f"longer than {LONG:g} to 1": long > LONG * short,
        f"smaller than {read_size} px, enlarged": short < read_size,
        f"a side {APART:g} times the usual one, or more": short >= APART * typical,
        "a side a quarter of the usual one, or less": short * APART <= typical,
    }
    return tuple(kind for kind, holds in found.items() if holds)
