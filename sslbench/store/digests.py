"""Files that carry a digest of all their bytes, so that damage is noticed when they are read.

The digest is a text of fixed length in the file's own JSON (that of safetensors' header included), taken while zeros
stand in its place: one file, replaced as a whole, and still readable by everybody else.
"""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

from sslbench.errors import StoreError, UserError
from sslbench.store.atomic import replaced

FIELD = "sslbench_digest"
BYTES = 16
EMPTY = "0" * 2 * BYTES
"""stands in the field while the digest is taken"""
BLOCK = 1 << 20
FILLED = re.compile(rb'"sslbench_digest": ?"([0-9a-f]{32})"')


class DamagedFile(StoreError):
    """A file that must not be used: which one, and why."""


class NoDigest(DamagedFile):
    """It carries no digest: an older version wrote it, or somebody else did, or that is where it is damaged."""


def write_digested(path: Path, head: bytes, rest: Iterable[memoryview] = ()) -> str:
    """Write JSON or safetensors, whose ``head`` has the first ``FIELD`` with ``EMPTY``, with the digest in its place;
    returns that. ``rest`` is taken part by part, each once the one before is written. Raises OSError."""
    empty = FILLED.search(head)
    assert empty, f"{FIELD} is missing"
    digest = blake2b(digest_size=BYTES)
    with replaced(path) as partial, partial.open("wb") as file:
        for part in chain([memoryview(head)], rest):
            digest.update(part)
            file.write(part)
        file.seek(empty.start(1))
        file.write(digest.hexdigest().encode())
    return digest.hexdigest()


def check_digest(path: Path) -> str:
    """The digest of an undamaged file. Raises DamagedFile for another, OSError where it cannot be read."""
    with path.open("rb") as file:
        empty = os.fstat(file.fileno()).st_size == 0
        filled = None if empty else FILLED.search(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        if filled is None:
            raise NoDigest(f"{path}: damaged or of an older sslbench: it {'is empty' if empty else 'has no digest'}")
        digest = blake2b(file.read(filled.start(1)) + EMPTY.encode(), digest_size=BYTES)
        file.seek(filled.end(1))
        while block := file.read(BLOCK):
            digest.update(block)
    written = filled[1].decode()
    if digest.hexdigest() != written:
        raise DamagedFile(f"{path}: damaged: its bytes do not match its digest")
    return written


def check_if_digested(path: Path) -> None:
    """Raises UserError for a damaged file of an export. A file without a digest is somebody else's; OSError."""
    try:
        check_digest(path)
    except NoDigest:
        pass
    except DamagedFile as error:
        raise UserError(f"{error}; export it again") from None


def write_json(path: Path, values: Mapping[str, Any], indent: int | None = None) -> str:
    """Write a JSON object with its digest, which is returned. Raises OSError."""
    content = {FIELD: EMPTY} | {**values, FIELD: EMPTY}
    return write_digested(path, json.dumps(content, indent=indent, allow_nan=False).encode())


def read_json(path: Path) -> dict[str, Any]:
    """What ``write_json`` wrote. Raises DamagedFile for anything else, OSError."""
    check_digest(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{path}: damaged: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise DamagedFile(f"{path}: damaged: not a JSON object")
    return {name: value for name, value in values.items() if name != FIELD}
