"""Where the images of files are while a model trains: in memory, in a mapped file, or decoded each time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from torch import Tensor

from sslbench import Params, UserError, param
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.kept_file import Mapped, cache_folder, facts_of, write
from sslbench_plugins.blocks.images_on_disk.statistics import channel_sums

GIB = 1 << 30
SPARE = 1.1
"""of a mapped file's size must be free on its disk, for `auto` to make one"""


class ReadingParams(Params):
    reading: str = param(
        "auto",
        "decoded images lie in memory, in a mapped file of the cache, or nowhere; auto: the first with room",
        pattern="^(auto|resident|mapped|streaming)$",
    )
    memory_limit: float = param(4.0, "size of a decoded split up to which `auto` is resident", ge=0, unit="GiB")
    on_error: str = param("error", "what to do with an image that cannot be read", pattern="^(error|skip)$")


@dataclass(frozen=True)
class Read:
    """Images by index, those that cannot be read left out."""

    images: Any
    """a uint8 tensor ``[N, 3, S, S]``, or a reader of such"""
    kept: list[int]
    """which of the given ones they are"""
    sums: Tensor
    """their ``channel_sums``"""


def read(encoded: Encoded, params: ReadingParams, key: Sequence[str]) -> Read:
    """Look at every image once, and lay them out as ``params`` says.

    The images, their order and their statistics are the same wherever they lie. What is learnt by decoding is kept in
    the cache for ``mapped`` and ``streaming``, under ``key``: lines that change whenever an image does.

    Raises UserError where images cannot be read and ``on_error`` is not ``skip``, and where sizes differ.
    """
    way = chosen(encoded, params)
    if way == "resident":
        return resident(encoded, params)
    path, digest = place_of(encoded, key, ".images" if way == "mapped" else ".checked")
    try:
        facts = kept_facts(path, digest, encoded, way == "mapped")
    except OSError as error:
        raise UserError(
            f"{encoded.where}: reading={way} cannot write {path}: {error.strerror or error};"
            " $SSLBENCH_CACHE names another folder, reading=resident writes nothing"
        ) from None
    bad = {int(place): why for place, why in facts["bad"].items()}
    kept = without(bad, encoded, params)
    images = Mapped(path, (len(kept), 3, facts["side"], facts["side"])) if way == "mapped" and kept else None
    return Read(images or encoded.only(kept), kept, torch.tensor(facts["sums"]))


def chosen(encoded: Encoded, params: ReadingParams) -> str:
    """What `auto` is for these images."""
    if params.reading != "auto":
        return params.reading
    size = 3 * encoded.side**2 * len(encoded)
    if size <= params.memory_limit * GIB:
        return "resident"
    folder = next(item for item in (cache_folder(), *cache_folder().absolute().parents) if item.exists())
    return "mapped" if SPARE * size <= shutil.disk_usage(folder).free else "streaming"


def resident(encoded: Encoded, params: ReadingParams) -> Read:
    """Decoded into one tensor as they come, so that the whole set lies in memory once."""
    bad: dict[int, str] = {}
    sums = torch.zeros(3, 3, dtype=torch.int64)
    images: np.ndarray | None = None
    count = 0
    for chunk in encoded.chunks(bad):
        if images is None:
            images = np.empty((len(encoded), *chunk.shape[1:]), dtype=np.uint8)
        images[count : count + len(chunk)] = chunk
        count += len(chunk)
        sums += channel_sums(chunk)
    kept = without(bad, encoded, params)
    if images is None:
        images = np.empty((0, 3, encoded.side, encoded.side), dtype=np.uint8)
    return Read(torch.from_numpy(images[:count]), kept, sums)


def without(bad: dict[int, str], encoded: Encoded, params: ReadingParams) -> list[int]:
    if bad and params.on_error == "error":
        raise encoded.complain(bad)
    return [place for place in range(len(encoded)) if place not in bad]


def place_of(encoded: Encoded, key: Sequence[str], suffix: str) -> tuple[Path, str]:
    """Where the cache keeps these images at this size, and what it must have been made of. Another Pillow may decode
    otherwise."""
    digest = blake2b(digest_size=16)
    for line in (PIL.__version__, str(encoded.size), *key):
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return cache_folder() / f"{digest.hexdigest()}{suffix}", digest.hexdigest()


def kept_facts(path: Path, digest: str, encoded: Encoded, with_images: bool) -> dict[str, Any]:
    """What the cache knows of the images; learnt now, by one process at a time, where it knows nothing."""
    facts = facts_of(path, digest)
    if facts is not None:
        return facts
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        facts = facts_of(path, digest)
        if facts is not None:
            return facts
        bad: dict[int, str] = {}
        sums = torch.zeros(3, 3, dtype=torch.int64)

        def parts() -> Iterator[bytes]:
            for chunk in encoded.chunks(bad):
                sums.add_(channel_sums(chunk))
                if with_images:
                    yield chunk.numpy().tobytes()

        return write(path, digest, parts(), lambda: {"bad": bad, "side": encoded.side, "sums": sums.tolist()})
