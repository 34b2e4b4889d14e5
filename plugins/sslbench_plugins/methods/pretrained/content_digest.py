"""What files hold, as a short text."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from sslbench import UserError

CHUNK = 1 << 20
"""bytes read at a time"""


def content_digest(*paths: Path) -> str:
    """A text that changes when the content of one of the files does; a file is read again only if it changed. Raises
    UserError for a file that cannot be read."""
    parts = []
    for path in paths:
        try:
            status = path.stat()
            parts.append(_digest(path, status.st_size, status.st_mtime_ns))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
    return parts[0] if len(parts) == 1 else blake2b("".join(parts).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    digest = blake2b(digest_size=8)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
