"""Where the images of files are while a model trains: in memory, in a mapped file, or decoded each time.

A mapped file lies in the user's cache. The images come first, so that the file can be mapped; then what is known of
them, as JSON; then the length of that, a digest of all before, and a closing word. A file is written beside its path
and moved there when it is complete; what does not end as it should, or was made of something else, is made anew.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import PIL
import torch
from torch import Tensor

from sslbench import ImageReader, Params, UserError, param, user_cache
from sslbench_plugins.blocks.images_on_disk.decode import DIGEST
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded, Found
from sslbench_plugins.blocks.images_on_disk.folders import list_error
from sslbench_plugins.blocks.images_on_disk.two_splits import channel_sums

GIB = 1 << 30
SPARE = 1.1
"""of a mapped file's size must be free on its disk, for `auto` to make one"""
CLOSING = b"SSLBIMG3"
"""changes with the format"""
UNREADABLE = "cannot be read"
"""why an image is left out"""
MORE_FRAMES = "frames after the first of their images"
LENGTH = 8
"""bytes that hold the length of the JSON"""
DIGEST_BYTES = 16
"""of the digest of images and JSON"""
BLOCK = 1 << 22


class ReadingParams(Params):
    """Where decoded images lie, and what happens to those that cannot be read."""

    reading: Literal["auto", "resident", "mapped", "streaming"] = param(
        "auto", "decoded images lie in memory, in a mapped file of the cache, or nowhere; auto: the first with room"
    )
    memory_limit: float = param(4.0, "size of a decoded split up to which `auto` is resident", ge=0, unit="GiB")
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

    def left_out(self, count: int) -> dict[str, int]:
        """Why images, or frames of them, are no part of the split, of ``count`` that were to be read."""
        counts = {UNREADABLE: count - len(self.kept), MORE_FRAMES: self.more_frames}
        return {why: number for why, number in counts.items() if number}


def read(encoded: Encoded, params: ReadingParams, key: Sequence[str]) -> ReadImages:
    """Decode every image once, and lay them out as ``params`` says.

    The images, their order and their statistics are the same wherever they lie. What decoding has shown is kept in
    the cache for ``mapped`` and ``streaming``, under ``key``: lines that change whenever an image does.

    Raises UserError where images cannot be read and ``on_error`` is not ``skip``, and where sizes differ.
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
    chosen = images or encoded.only(kept)
    return ReadImages(chosen, kept, sums, digests, both, encoded.grey.whites, facts["more_frames"], [*bad.values()])


def location_of(encoded: Encoded, params: ReadingParams) -> Literal["resident", "mapped", "streaming"]:
    """Where these images will lie: what `auto` is, else what the user chose."""
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


def cached_facts(path: Path, digest: str, encoded: Encoded, with_images: bool) -> dict[str, Any]:
    """From the cache; where it has none, every image is decoded, by one process at a time. ``bad``: index of an image
    that cannot be read -> its name and why; of the others ``side``, ``sums``, ``digests``, ``sides`` before resizing
    ``more_frames`` and ``whites`` of deep grey."""
    facts = read_facts(path, digest)
    if facts is not None:
        return facts
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    found = Found()
    sums = torch.zeros(3, 3, dtype=torch.int64)

    def parts() -> Iterator[bytes]:
        for chunk in encoded.chunks(found):
            sums.add_(channel_sums(chunk))
            if with_images:
                yield chunk.numpy().tobytes()

    def shown() -> dict[str, Any]:
        numbers = {"side": encoded.side, "sums": sums.tolist(), "sides": found.sides, "whites": encoded.grey.whites}
        numbers["more_frames"] = found.more_frames
        return {"bad": found.bad, "digests": b"".join(found.digests).hex(), **numbers}

    with FileLock(f"{path}.lock"):
        return read_facts(path, digest) or write(path, digest, parts(), shown)


def cache_folder() -> Path:
    """$SSLBENCH_CACHE, or ``sslbench/decoded`` in the user's cache folder."""
    if named := os.environ.get("SSLBENCH_CACHE"):
        return Path(os.path.expanduser(named))
    return user_cache() / "decoded"


class Mapped:
    """Images in a file, of which the system keeps in memory what is used."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._images = np.memmap(path, np.uint8, "r", shape=shape)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """int64 ``[B]`` -> uint8 ``[B, 3, S, S]``, a copy."""
        return torch.from_numpy(self._images[indices.numpy()])


def read_facts(path: Path, key: str) -> dict[str, Any] | None:
    """What is known of a file's images; None for a file that is missing, not whole, damaged, or not of ``key``."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            end = size - LENGTH - DIGEST_BYTES - len(CLOSING)
            stream.seek(end)
            tail = stream.read()
            length = int.from_bytes(tail[:LENGTH], "little")
            if not tail.endswith(CLOSING) or length > end:
                return None
            stream.seek(end - length)
            facts: dict[str, Any] = json.loads(stream.read(length))
            if facts["key"] != key or facts["bytes"] != end - length:
                return None
            return facts if digest_of(stream, end) == tail[LENGTH : -len(CLOSING)] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def digest_of(stream: BinaryIO, end: int) -> bytes:
    """Of the first ``end`` bytes."""
    stream.seek(0)
    digest = blake2b(digest_size=DIGEST_BYTES)
    for start in range(0, end, BLOCK):
        digest.update(stream.read(min(BLOCK, end - start)))
    return digest.digest()


def write(path: Path, key: str, parts: Iterable[bytes], facts: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Make the file of ``parts``; ``facts`` is called after the last one. Returns what ``read_facts`` will. One writer
    at a time; what killed ones left is removed, and a file that is there is named: it could not be used."""
    partial = path.with_name(f"{path.name}.partial")
    if path.exists():
        print(f"sslbench: {path}: damaged or of another version; its images are decoded again", file=sys.stderr)
    remove_left_over(partial)
    digest = blake2b(digest_size=DIGEST_BYTES)
    count = 0
    try:
        with partial.open("wb") as stream:
            for part in parts:
                digest.update(part)
                count += stream.write(part)
            known = {**facts(), "key": key, "bytes": count}
            text = json.dumps(known).encode()
            digest.update(text)
            stream.write(text + len(text).to_bytes(LENGTH, "little") + digest.digest() + CLOSING)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return known


def remove_left_over(own: Path) -> None:
    """Remove the partial files of writers that are no more: the locks of those at work are taken."""
    from filelock import FileLock, Timeout

    for partial in own.parent.glob("*.partial"):
        if partial != own:
            with suppress(OSError, Timeout), FileLock(partial.with_suffix(".lock"), timeout=0):
                partial.unlink(missing_ok=True)
