"""Images that are a part of a larger file: a member of a tar, a cell of a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FilePart:
    """Bytes inside a file, read when they are needed, by any number of threads."""

    file: Path
    start: int
    """bytes before it"""
    size: int
    """bytes"""

    def read_bytes(self) -> bytes:
        """All of it. Raises OSError, and ValueError where the file ends before."""
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            content = stream.read(self.size)
        if len(content) < self.size:
            raise ValueError(f"{self.file.name} ends before it does")
        return content


@dataclass(frozen=True, slots=True)
class Missing:
    """An image that cannot be read, as is known before it is tried."""

    why: str

    def read_bytes(self) -> bytes:
        """Raises ValueError with the reason."""
        raise ValueError(self.why)


Source = Path | FilePart | Missing | bytes
"""one encoded image"""
