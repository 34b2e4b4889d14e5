"""Images of an .npz file: in memory, or decompressed once into a file of the cache."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslbench import ImageReader, UserError
from sslbench_plugins.blocks.images_on_disk.cache_files import cache_folder, read_facts, write
from sslbench_plugins.blocks.images_on_disk.decode import DIGEST, SMALLEST
from sslbench_plugins.blocks.images_on_disk.reading import GIB, Mapped
from sslbench_plugins.blocks.images_on_disk.two_splits import channel_sums
from sslbench_plugins.datasets.medmnist.npz import Npz

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ArrayImages:
    """Images of one or several arrays."""

    images: Tensor | ImageReader
    """uint8 ``[N, 3, S, S]``, or a reader of such"""
    digests: list[bytes]
    """of the bytes of each"""
    sums: Tensor
    """their ``channel_sums``"""
    side: int
    """pixels"""


def side_of(npz: Npz, name: str) -> int:
    """Of the images of an array, pixels. Raises UserError for what are no square images of 8 bits."""
    header = npz.header(name)
    where = f"medmnist: {npz.file}: {name}"
    held = " x ".join(map(str, header.shape))
    if len(header.shape) == 5 or (len(header.shape) == 4 and header.shape[3] not in (1, 3, 4)):
        raise UserError(f"{where} holds volumes ({held}); images of two dimensions are read")
    if len(header.shape) not in (3, 4) or header.shape[3:] == (4,) or header.by_columns:
        raise UserError(f"{where} is {held}; N x S x S (grey) or N x S x S x 3 (RGB), row by row, is read")
    if header.dtype != np.uint8:
        raise UserError(f"{where} holds {header.dtype}; images are uint8")
    if header.shape[1] != header.shape[2] or header.shape[1] < SMALLEST:
        raise UserError(f"{where}: images are {header.shape[2]} x {header.shape[1]} pixels; square ones are read")
    return int(header.shape[1])


def read_images(
    npz: Npz, names: Sequence[str], reading: Literal["auto", "resident", "mapped"], memory_limit: float
) -> ArrayImages:
    """The images of these arrays, one after another; ``memory_limit``: GiB up to which `auto` is in memory."""
    sides = {side_of(npz, name) for name in names}
    if len(sides) > 1:
        raise UserError(f"medmnist: {npz.file}: images of {' and '.join(names)} are of different sizes")
    side = sides.pop()
    count = sum(npz.header(name).shape[0] for name in names)
    if reading == "resident" or (reading == "auto" and 3 * side * side * count <= memory_limit * GIB):
        return resident(npz, names, (count, 3, side, side))
    return mapped(npz, names, (count, 3, side, side))


def chunks(npz: Npz, names: Sequence[str], digests: list[bytes], sums: Tensor) -> Iterator[Pixels]:
    """uint8 ``[n, 3, S, S]`` at a time; what is known of them is added to ``digests`` and ``sums``."""
    for name in names:
        for part in npz.chunks(name):
            digests += [blake2b(image.tobytes(), digest_size=DIGEST).digest() for image in part]
            colours = part if part.ndim == 4 else part[..., None]
            images = np.ascontiguousarray(np.broadcast_to(colours, (*colours.shape[:3], 3)).transpose(0, 3, 1, 2))
            sums.add_(channel_sums(torch.from_numpy(images)))
            yield images


def resident(npz: Npz, names: Sequence[str], shape: tuple[int, int, int, int]) -> ArrayImages:
    """In memory, once."""
    images = np.empty(shape, dtype=np.uint8)
    digests, sums = list[bytes](), torch.zeros(3, 3, dtype=torch.int64)
    start = 0
    for part in chunks(npz, names, digests, sums):
        images[start : start + len(part)] = part
        start += len(part)
    return ArrayImages(torch.from_numpy(images), digests, sums, shape[-1])


def mapped(npz: Npz, names: Sequence[str], shape: tuple[int, int, int, int]) -> ArrayImages:
    """In a file of the cache, made by one process at a time. Raises UserError where there is no room for it."""
    from filelock import FileLock

    lines = [*npz.stamps(), *names]
    key = blake2b("\n".join(lines).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    path = cache_folder() / f"{key}.images"
    digests, sums = list[bytes](), torch.zeros(3, 3, dtype=torch.int64)

    def facts() -> dict[str, Any]:
        return {"digests": b"".join(digests).hex(), "sums": sums.tolist()}

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            known = read_facts(path, key)
            if known is None:
                check_room(npz, path.parent, int(np.prod(shape, dtype=np.int64)))
                parts = (part.tobytes() for part in chunks(npz, names, digests, sums))
                known = write(path, key, parts, facts)
    except OSError as error:
        raise UserError(
            f"medmnist: {npz.file}: cannot write {path}: {error.strerror or error}; $SSLBENCH_CACHE names another"
            " folder, reading=resident writes nothing"
        ) from None
    joined = bytes.fromhex(known["digests"])
    each = [joined[start : start + DIGEST] for start in range(0, len(joined), DIGEST)]
    images = Mapped(path, shape) if shape[0] else torch.zeros(shape, dtype=torch.uint8)
    return ArrayImages(images, each, torch.tensor(known["sums"]), shape[-1])


def check_room(npz: Npz, folder: Path, size: int) -> None:
    """Raises UserError where a disk lacks so many bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"medmnist: {npz.file}: its images take {size / GIB:.1f} GiB, and {folder} has {free / GIB:.1f} GiB left;"
            " $SSLBENCH_CACHE names another folder, memory_limit=N keeps them in memory"
        )
