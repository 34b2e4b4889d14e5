"""Where the images of files are while a model trains: in memory, in a mapped file, or decoded each time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
import torch
from torch import Tensor

from sslbench import ImageReader, Params, UserError, param
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.folders import list_error
from sslbench_plugins.blocks.images_on_disk.image_cache import Mapped, cache_folder, read_facts, write
from sslbench_plugins.blocks.images_on_disk.two_splits import channel_sums

GIB = 1 << 30
SPARE = 1.1
"""of a mapped file's size must be free on its disk, for `auto` to make one"""
Location = Literal["resident", "mapped", "streaming"]


class ReadingParams(Params):
    """Where decoded images lie, and what happens to those that cannot be read."""

    reading: Literal["auto", "resident", "mapped", "streaming"] = param(
        "auto", "decoded images lie in memory, in a mapped file of the cache, or nowhere; auto: the first with room"
    )
    memory_limit: float = param(4.0, "size of a decoded split up to which `auto` is resident", ge=0, unit="GiB")
    on_error: Literal["error", "skip"] = param("error", "what to do with an image that cannot be read")


@dataclass(frozen=True)
class ReadImages:
    """Images by index, those that cannot be read left out."""

    images: Tensor | ImageReader
    """uint8 ``[N, 3, S, S]``, or a reader of such"""
    kept: list[int]
    """indices of the images among all that were to be read"""
    sums: Tensor
    """their ``channel_sums``"""


def read(encoded: Encoded, params: ReadingParams, key: Sequence[str]) -> ReadImages:
    """Decode every image once, and lay them out as ``params`` says.

    The images, their order and their statistics are the same wherever they lie. What decoding has shown is kept in
    the cache for ``mapped`` and ``streaming``, under ``key``: lines that change whenever an image does.

    Raises UserError where images cannot be read and ``on_error`` is not ``skip``, and where sizes differ.
    """
    location = location_of(encoded, params)
    if location == "resident":
        return resident(encoded, params)
    path, digest = cache_file(encoded, key, ".images" if location == "mapped" else ".checked")
    try:
        facts = cached_facts(path, digest, encoded, location == "mapped")
    except OSError as error:
        raise UserError(
            f"{encoded.where}: reading={location} cannot write {path}: {error.strerror or error};"
            " $SSLBENCH_CACHE names another folder, reading=resident writes nothing"
        ) from None
    kept = readable({int(index): why for index, why in facts["bad"].items()}, encoded, params)
    images = Mapped(path, (len(kept), 3, facts["side"], facts["side"])) if location == "mapped" and kept else None
    return ReadImages(images or encoded.only(kept), kept, torch.tensor(facts["sums"]))


def location_of(encoded: Encoded, params: ReadingParams) -> Location:
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
    bad: dict[int, str] = {}
    sums = torch.zeros(3, 3, dtype=torch.int64)
    images = np.empty((len(encoded), 3, encoded.side, encoded.side), dtype=np.uint8)
    count = 0
    for chunk in encoded.chunks(bad):
        images[count : count + len(chunk)] = chunk
        count += len(chunk)
        sums += channel_sums(chunk)
    return ReadImages(torch.from_numpy(images[:count]), readable(bad, encoded, params), sums)


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
    that cannot be read -> its name and why; ``side`` of the others, and their ``sums``."""
    facts = read_facts(path, digest)
    if facts is not None:
        return facts
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    bad: dict[int, str] = {}
    sums = torch.zeros(3, 3, dtype=torch.int64)

    def parts() -> Iterator[bytes]:
        for chunk in encoded.chunks(bad):
            sums.add_(channel_sums(chunk))
            if with_images:
                yield chunk.numpy().tobytes()

    with FileLock(f"{path}.lock"):
        return read_facts(path, digest) or write(
            path, digest, parts(), lambda: {"bad": bad, "side": encoded.side, "sums": sums.tolist()}
        )
