"""Images that lie encoded in files or in memory, decoded when they are needed, on several threads."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sslbench import UserError, ahead
from sslbench_plugins.blocks.images_on_disk.decode import Decoded, Pixels, decode, formats, reason
from sslbench_plugins.blocks.images_on_disk.file_parts import FilePart, Source
from sslbench_plugins.blocks.images_on_disk.grey import GreyScale

CHUNK = 256
"""images that ``chunks`` yields at a time"""
LARGE = 16 * 1024
"""bytes from which on an image is decoded faster by several threads"""
LARGE_PART = 8
"""large images that a thread takes at a time: few, so that a small batch keeps every thread busy"""

Result = TypeVar("Result")


@dataclass
class Found:
    """What decoding every image has shown."""

    bad: dict[int, str] = field(default_factory=dict)
    """index of an image that cannot be read -> its name and why"""
    digests: list[bytes] = field(default_factory=list)
    """of the encoded bytes of the others, in order"""
    sides: tuple[int, int] | None = None
    """smallest and largest one before resizing, pixels"""
    more_frames: int = 0
    """after the first of their images, which are not read"""
    for_cpu: Counter[str] = field(default_factory=Counter)
    """why a GPU does not decode them -> images"""

    def add(self, image: Decoded) -> None:
        """One that can be read."""
        self.digests.append(image.digest)
        self.more_frames += image.more_frames
        if image.for_cpu:
            self.for_cpu[image.for_cpu] += 1
        low, high = self.sides or image.sides
        self.sides = min(low, image.sides[0]), max(high, image.sides[1])


@dataclass(frozen=True)
class Encoded:
    """Images by index, decoded anew each time. Errors name the images that cannot be read."""

    sources: Sequence[Source]
    names: Sequence[str]
    """of the sources, for messages"""
    size: int | None
    """side to which the shorter side is resized (antialiased) before a centre crop; None: as they are"""
    where: str
    """names the data set in messages"""
    grey: GreyScale = field(default=None, compare=False)  # type: ignore[assignment]
    """scale of deep grey: of these images, where none is given"""

    def __post_init__(self) -> None:
        if self.grey is None:
            object.__setattr__(self, "grey", GreyScale(self.sources, formats, self._threads))

    def __len__(self) -> int:
        return len(self.sources)

    def only(self, indices: Sequence[int]) -> Encoded:
        """Some of the images, on the same scale of grey."""
        return replace(self, sources=[self.sources[i] for i in indices], names=[self.names[i] for i in indices])

    @cached_property
    def side(self) -> int:
        """Of the images after reading, pixels; 1 where no image can be read."""
        if self.size is not None:
            return self.size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = (result for index in range(len(self)) for result in self._decoded([index]))
            first = next((result.pixels for result in results if not isinstance(result, str)), None)
        return 1 if first is None else max(first.shape[:2])

    def __getitem__(self, indices: Tensor) -> Tensor:
        """int64 ``[B]`` -> uint8 ``[B, 3, S, S]``. Raises UserError naming an image that cannot be read."""
        # The filters of ``chunks``, for threads that read while others work: kept, since filters are the process's.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
        results = list(self._decoded(indices.tolist()))
        bad = [result for result in results if isinstance(result, str)]
        if bad:
            raise UserError(f"{self.where}: {bad[0]} (it could be read at first)")
        return stacked([result.pixels for result in results if not isinstance(result, str)], self.size)

    def chunks(self, found: Found) -> Iterator[Tensor]:
        """All images that can be read, in order, uint8 ``[n, 3, S, S]`` with n at most CHUNK; what decoding them shows
        goes to ``found``. Raises UserError where sizes differ."""
        waiting: list[Pixels] = []
        sizes: set[tuple[int, int]] = set()
        # Filters are the process's, so they are set here and not by each thread.
        with warnings.catch_warnings():
            # Damaged metadata is no reason to refuse the pixels; an image that is too large to be true is.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            for index, result in enumerate(self._decoded(range(len(self)))):
                if isinstance(result, str):
                    found.bad[index] = result
                    continue
                found.add(result)
                height, width = result.pixels.shape[:2]
                sizes.add((height, width))
                if len(sizes) > 1 or height != width:
                    continue
                waiting.append(result.pixels)
                if len(waiting) == CHUNK:
                    yield stacked(waiting, self.size)
                    waiting.clear()
        if len(sizes) > 1 or any(height != width for height, width in sizes):
            shown = [f"{width} x {height}" for height, width in sorted(sizes)[:4]] + ["..."] * (len(sizes) > 4)
            raise UserError(f"{self.where}: images are {', '.join(shown)} pixels; size=N makes them N x N")
        if waiting:
            yield stacked(waiting, self.size)

    def _decoded(self, indices: Sequence[int]) -> Iterator[Decoded | str]:
        """Each image, or its name and why it cannot be read."""
        return self.each(self._attempt, indices)

    def each(self, function: Callable[[int], Result], indices: Sequence[int]) -> Iterator[Result]:
        """``function`` of every index, in order, on as many threads as decoding is worth."""
        if self._threads == 1:
            return map(function, indices)
        parts = [indices[start : start + LARGE_PART] for start in range(0, len(indices), LARGE_PART)]
        threads = max(1, min(self._threads, len(parts)))
        return chain.from_iterable(ahead(lambda part: [function(i) for i in part], parts, threads, threads))

    def _attempt(self, index: int) -> Decoded | str:
        try:
            return decode(self.sources[index], self.size, self.grey.white)
        except MemoryError:
            raise
        except Exception as error:
            return f"{self.names[index]}: {reason(error)}"

    @cached_property
    def _threads(self) -> int:
        """One for thumbnails, whose decoding is mostly Python's, which threads only hinder."""
        some = self.sources[:: max(1, len(self) // 16)]
        sizes = [size_of(source) for source in some]
        if sum(sizes) < LARGE * len(sizes):
            return 1
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def size_of(source: Source) -> int:
    """Bytes; 0 for a file that is missing, which is named when it is read."""
    if isinstance(source, bytes):
        return len(source)
    if not isinstance(source, Path):
        return source.size if isinstance(source, FilePart) else 0
    try:
        return source.stat().st_size
    except (OSError, ValueError):
        return 0


def stacked(images: list[Pixels], size: int | None) -> Tensor:
    """uint8 ``[S, S, 3]`` each -> ``[n, 3, S, S]``."""
    side = images[0].shape[0] if images else size or 1
    out = np.empty((len(images), 3, side, side), dtype=np.uint8)
    for row, image in zip(out, images, strict=True):
        row[:] = image.transpose(2, 0, 1)
    return torch.from_numpy(out)
