"""Indices of tars, each kept in the user's cache as soon as it is made: what is interrupted goes on at the next tar."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.cache_files import cache_folder, read_facts, write
from sslbench_plugins.datasets.webdataset.tar_index import TarIndex, TarReader

VERSION = "1"
"""changes with what an index holds"""


def tar_indices(files: Sequence[Path], image: str, label: str) -> list[TarIndex]:
    """Of each tar: from the cache, else made. Raises UserError for a file that is no tar."""
    kept = True
    indices = []
    for file in files:
        index, kept = kept_index(file, image, label, kept)
        indices.append(index)
    return indices


def kept_index(file: Path, image: str, label: str, keep: bool) -> tuple[TarIndex, bool]:
    """The index, and whether the next one can be kept: where the cache cannot be written that is said once."""
    from filelock import FileLock

    key = key_of(file, image, label)
    path = cache_folder() / "tars" / f"{key}.index"
    if (facts := read_facts(path, key)) is not None:
        return TarIndex.from_plain(facts["index"]), keep
    if not keep:
        return TarReader(file, image, label).read(), False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            facts = read_facts(path, key) or write(
                path, key, (), lambda: {"index": TarReader(file, image, label).read().plain()}
            )
        return TarIndex.from_plain(facts["index"]), True
    except OSError as error:
        problem = (
            f"{path.parent} cannot be written ({error.strerror or error}); indices of tars are made again each time"
        )
        print(f"sslbench: {problem}", file=sys.stderr)
        return TarReader(file, image, label).read(), False


def key_of(file: Path, image: str, label: str) -> str:
    """Changes with the file and with what is looked for in it. Raises UserError for a file that is not there."""
    try:
        facts = file.stat()
    except OSError as error:
        raise UserError(f"webdataset: {file} cannot be read: {error.strerror}") from None
    parts = (VERSION, str(file.resolve()), str(facts.st_size), str(facts.st_mtime_ns), image, label)
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
