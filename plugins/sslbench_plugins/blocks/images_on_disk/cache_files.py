"""Files of the user's cache: images, what is known of them, or the latter alone.

The images come first, so that the file can be mapped; then what is known of them, as JSON; then the length of that, a
digest of all before, and a closing word. A file is written beside its path and moved there when it is complete; what
does not end as it should, or was made of something else, is made anew.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from sslbench import user_cache

CLOSING = b"SSLBIMG4"
"""changes with the format"""
LENGTH = 8
"""bytes that hold the length of the JSON"""
DIGEST_BYTES = 16
"""of the digest of images and JSON"""
BLOCK = 1 << 22


def cache_folder() -> Path:
    """$SSLBENCH_CACHE, or ``sslbench/decoded`` in the user's cache folder."""
    if named := os.environ.get("SSLBENCH_CACHE"):
        return Path(os.path.expanduser(named))
    return user_cache() / "decoded"


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
