"""Decoded images in a file of the user's cache, made once and never half.

The images come first, so that the file can be mapped; then what is known of them, as JSON; then the length of that and
a closing word. A file is written beside its path and moved there when it is complete, so that one that was cut off is
not taken for one; what does not end as it should, or was made of something else, is made anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

CLOSING = b"SSLBIMG1"
"""changes with the format"""
LENGTH = 8
"""bytes that hold the length of the JSON"""


def cache_folder() -> Path:
    """$SSLBENCH_CACHE, or ``sslbench/decoded`` in the user's cache folder."""
    if named := os.environ.get("SSLBENCH_CACHE"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "sslbench" / "decoded"


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
    """What is known of a file's images; None for a file that is missing, not whole, or not of ``key``."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(size - LENGTH - len(CLOSING))
            tail = stream.read()
            length = int.from_bytes(tail[:LENGTH], "little")
            if tail[LENGTH:] != CLOSING or length > size - len(tail):
                return None
            stream.seek(size - len(tail) - length)
            facts: dict[str, Any] = json.loads(stream.read(length))
            whole = facts["key"] == key and facts["bytes"] == size - len(tail) - length
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return facts if whole else None


def write(path: Path, key: str, parts: Iterable[bytes], facts: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Make the file of ``parts``; ``facts`` is called after the last one. Returns what ``read_facts`` will. One writer
    at a time; what a killed one left is overwritten."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as stream:
            count = sum(stream.write(part) for part in parts)
            known = {**facts(), "key": key, "bytes": count}
            text = json.dumps(known).encode()
            stream.write(text + len(text).to_bytes(LENGTH, "little") + CLOSING)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return known
