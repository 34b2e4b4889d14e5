"""Where the images of files are while a model trains: in memory, in a mapped file, or decoded each time."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
import PIL
import torch
from torch import Tensor

from sslbench import ImageReader, Params, UserError, param
from sslbench_plugins.blocks.images_on_disk.cache_files import cache_folder
from sslbench_plugins.blocks.images_on_disk.checking import cached_facts
from sslbench_plugins.blocks.images_on_disk.decode import DIGEST
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded, Found
from sslbench_plugins.blocks.images_on_disk.folders import list_error
from sslbench_plugins.blocks.images_on_disk.gpu_decoding import DecodedOnGpu
from sslbench_plugins.blocks.images_on_disk.two_splits import channel_sums

GIB = 1 << 30
SPARE = 1.1
"""of a mapped file's size must be free on its disk, for `auto` to make one"""
UNREADABLE = "cannot be read"
"""why an image is left out"""
MORE_FRAMES = "frames after the first of their images"


class ReadingParams(Params):
    """Where decoded images lie, and what happens to those that cannot be read."""

    reading: Literal["auto", "resident", "mapped", "streaming"] = param(
        "auto", "decoded images lie in memory, in a mapped file of the cache, or nowhere; auto: the first with room"
    )
    memory_limit: float = param(4.0, "size of a decoded split up to which `auto` is resident", ge=0, unit="GiB")
    decode: Literal["cpu", "gpu"] = param(
        "cpu", "what decodes streamed JPEG files; gpu: the one that trains, with pixels that differ a little"
    )
    on_error: Literal["error", "skip"] = param("error", "what to do with an image that cannot be read")
    white: float = param(
        0.0, "value of 16-bit and 32-bit integer grey that becomes 255; 0: found among all images", ge=0, le=65535
    )
    white_float: float = param(0.0, "value of float grey that becomes 255; 0: found among all images", ge=0, le=65535)

    @property
    def whites(self) -> dict[str, float]:
        """Those that are given, by kind of deep grey."""
        given = {"integer": self.white, "float": self.white_float}
        return {kind: white for kind, white in given.items() if white}


@dataclass(frozen=True)
class ReadImages:
    """Images by index, those that cannot be read left out."""

    images: Tensor | ImageReader
    """uint8 ``[N, 3, S, S]``, or a reader of such"""
    kept: list[int]
    """indices of the images among all that were to be read"""
    sums: Tensor
    """their ``channel_sums``"""
    digests: list[bytes]
    """of their encoded bytes"""
    sides: tuple[int, int] | None
    """smallest and largest one before resizing, pixels; None without an image"""
    white: Mapping[str, float]
    """value of deep grey that became 255, by kind"""
    more_frames: int = 0
    """after the first of their images, which are not read"""
    bad: Sequence[str] = ()
    """names of the images that cannot be read, each with the reason"""
    notes: Sequence[str] = ()
    """what the user should know of how they are read"""

    def left_out(self, count: int) -> dict[str, int]:
        """Why images, or frames of them, are no part of the split, of ``count`` that were to be read."""
        counts = {UNREADABLE: count - len(self.kept), MORE_FRAMES: self.more_frames}
        return {why: number for why, number in counts.items() if number}


def read(encoded: Encoded, params: ReadingParams, key: Sequence[str]) -> ReadImages:
    """Decode every image once, and lay them out as ``params`` says.

    The images, their order and their statistics are the same wherever they lie. What decoding has shown is kept in
    the cache for ``mapped`` and ``streaming``, under ``key``: lines that change whenever an image does.

    Raises UserError where images cannot be read and ``on_error`` is not ``skip``, where sizes differ, and where a GPU
    is to decode what lies decoded.
    """
    encoded.grey.given = params.whites
    location = location_of(encoded, params)
    if location == "resident":
        return resident(encoded, params)
    path, digest = cache_file(encoded, [str(params.whites), *key], ".images" if location == "mapped" else ".checked")
    try:
        facts = cached_facts(path, digest, encoded, location == "mapped")
    except OSError as error:
        raise UserError(
            f"{encoded.where}: reading={location} cannot write {path}: {error.strerror or error};"
            " $SSLBENCH_CACHE names another folder, reading=resident writes nothing"
        ) from None
    bad = {int(index): why for index, why in facts["bad"].items()}
    kept = readable(bad, encoded, params)
    encoded.grey.whites = {**encoded.grey.whites, **(facts["whites"] or {})}
    images = Mapped(path, (len(kept), 3, facts["side"], facts["side"])) if location == "mapped" and kept else None
    joined, sides = bytes.fromhex(facts["digests"]), facts["sides"]
    digests = [joined[start : start + DIGEST] for start in range(0, len(joined), DIGEST)]
    sums, both = torch.tensor(facts["sums"]), (sides[0], sides[1]) if sides else None
    chosen: Tensor | ImageReader = images or encoded.only(kept)
    notes: list[str] = []
    if params.decode == "gpu":
        chosen, notes = DecodedOnGpu(encoded.only(kept)), for_cpu(facts["for_cpu"], len(kept))
    white, frames = encoded.grey.whites, facts["more_frames"]
    return ReadImages(chosen, kept, sums, digests, both, white, frames, [*bad.values()], notes)


def for_cpu(reasons: Mapping[str, int], count: int) -> list[str]:
    """How many of ``count`` images the CPU decodes though the GPU was asked for, and why; nothing where it is none."""
    if not reasons:
        return []
    why = ", ".join(f"{number:,} {reason}" for reason, number in sorted(reasons.items(), key=lambda item: -item[1]))
    return [f"decode=gpu: the CPU decodes {sum(reasons.values()):,} of {count:,} images ({why})"]


def location_of(encoded: Encoded, params: ReadingParams) -> Literal["resident", "mapped", "streaming"]:
    """Where these images will lie: what `auto` is, else what the user chose."""
    if params.decode == "gpu":
        if params.reading not in ("auto", "streaming"):
            raise UserError(
                f"{encoded.where}: decode=gpu is for reading=streaming; reading={params.reading} keeps decoded images"
            )
        return "streaming"
    if params.reading != "auto":
        return params.reading
    size = 3 * encoded.side**2 * len(encoded)
    if size <= params.memory_limit * GIB:
        return "resident"
    folder = next(item for item in (cache_folder(), *cache_folder().absolute().parents) if item.exists())
    return "mapped" if SPARE * size <= shutil.disk_usage(folder).free else "streaming"


def resident(encoded: Encoded, params: ReadingParams) -> ReadImages:
    """Decoded into one tensor as they come, so that the whole set lies in memory once."""
    found = Found()
    sums = torch.zeros(3, 3, dtype=torch.int64)
    images = np.empty((len(encoded), 3, encoded.side, encoded.side), dtype=np.uint8)
    count = 0
    for chunk in encoded.chunks(found):
        images[count : count + len(chunk)] = chunk
        count += len(chunk)
        sums += channel_sums(chunk)
    kept = readable(found.bad, encoded, params)
    white = encoded.grey.whites
    array = torch.from_numpy(images[:count])
    bad = [*found.bad.values()]
    return ReadImages(array, kept, sums, found.digests, found.sides, white, found.more_frames, bad)


def readable(bad: dict[int, str], encoded: Encoded, params: ReadingParams) -> list[int]:
    """Indices of the images that can be read. Raises UserError for the others unless they are to be skipped."""
    if bad and params.on_error == "error":
        problem = f"{len(bad)} of {len(encoded)} images cannot be read; on_error=skip leaves them out"
        raise list_error(encoded.where, problem, list(bad.values()))
    return [index for index in range(len(encoded)) if index not in bad]


def cache_file(encoded: Encoded, key: Sequence[str], suffix: str) -> tuple[Path, str]:
    """Where the cache keeps these images at this size, and the digest of what they are made of. Pillow's version is a
    part of it: another one may decode otherwise."""
    digest = blake2b(digest_size=16)
    for line in (PIL.__version__, str(encoded.size), *key):
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return cache_folder() / f"{digest.hexdigest()}{suffix}", digest.hexdigest()


class Mapped:
    """Images in a file, of which the system keeps in memory what is used."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._images = np.memmap(path, np.uint8, "r", shape=shape)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """int64 ``[B]`` -> uint8 ``[B, 3, S, S]``, a copy."""
        return torch.from_numpy(self._images[indices.numpy()])
