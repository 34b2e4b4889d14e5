"""Arrays of an .npz file, read from its archive in order: what is read is never more than a chunk."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sslbench import UserError

Result = TypeVar("Result")
ENDING = ".npy"
CHUNK_BYTES = 1 << 26
"""that are decompressed at a time, at least one image"""


@dataclass(frozen=True)
class Header:
    """What an array is."""

    shape: tuple[int, ...]
    dtype: Any
    by_columns: bool
    """whether the first index varies fastest"""


class Npz:
    """An .npz file."""

    def __init__(self, file: Path) -> None:
        """Raises UserError for a file that is none."""
        self.file = file
        if file.is_dir():
            inside = ", ".join(sorted(path.name for path in file.glob("*.npz"))[:4])
            what = f" (it holds {inside})" if inside else ""
            raise UserError(f"medmnist: path={file} is a folder; give an .npz file{what}")
        with self._archive() as archive:
            self._members = {info.filename.removesuffix(ENDING): info for info in self.tried(archive.infolist)}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> list[str]:
        """Of the arrays."""
        return sorted(self._members)

    def stamps(self) -> list[str]:
        """Name, length and checksum of each array, as the archive has them: they change with its content alone."""
        return [f"{name}\0{info.file_size}\0{info.CRC}" for name, info in sorted(self._members.items())]

    def header(self, name: str) -> Header:
        """Of an array. Raises UserError where there is none of the name, or one of Python's objects."""
        if name not in self._members:
            held = ", ".join(self.names[:8]) or "nothing"
            raise UserError(f"medmnist: {self.file} has no array {name}; it holds {held}")

        def read() -> Header:
            with zipfile.ZipFile(self.file) as archive, archive.open(self._members[name]) as stream:
                return read_header(stream)

        return self.tried(read, name)

    def array(self, name: str) -> NDArray[Any]:
        """All of a small one."""
        header = self.header(name)
        if not header.shape or header.by_columns:
            raise UserError(f"medmnist: {self.file}: {name} is no plain list of values")
        parts = list(self.chunks(name))
        return np.concatenate(parts) if parts else np.empty(header.shape, header.dtype)

    def chunks(self, name: str) -> Iterator[NDArray[Any]]:
        """Its rows, ``[n, ...]`` at a time. Raises UserError for an archive that is damaged."""
        header = self.header(name)
        size = int(np.prod(header.shape[1:], dtype=np.int64)) * header.dtype.itemsize
        step = max(1, CHUNK_BYTES // max(1, size))
        with self._archive() as archive, self.tried(lambda: archive.open(self._members[name]), name) as stream:
            self.tried(lambda: read_header(stream), name)
            for start in range(0, header.shape[0], step):
                count = min(step, header.shape[0] - start)
                content = self.tried(lambda wanted=count * size: exactly(stream, wanted), name)  # type: ignore[misc]
                yield np.frombuffer(content, header.dtype).reshape(count, *header.shape[1:])
            # The archive's checksum is compared when its end is read.
            self.tried(lambda: stream.read(1), name)

    def _archive(self) -> zipfile.ZipFile:
        return self.tried(lambda: zipfile.ZipFile(self.file))

    def tried(self, read: Callable[[], Result], name: str = "") -> Result:
        """What ``read`` returns. Raises UserError where the file is missing, damaged or no such file."""
        where = f"{self.file}{f': {name}' if name else ''}"
        try:
            return read()
        except FileNotFoundError:
            raise UserError(f"medmnist: {self.file} does not exist") from None
        except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"medmnist: {where} cannot be read: {reason}") from None


def exactly(stream: Any, size: int) -> bytes:
    """So many bytes. Raises ValueError where there are fewer."""
    content: bytes = stream.read(size)
    if len(content) < size:
        raise ValueError("it is shorter than its header says")
    return content


def read_header(stream: Any) -> Header:
    """At the start of an array. Raises ValueError for what is none, and for Python's objects: none is ever loaded."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is an array of version {version[0]}.{version[1]}; 1.0 and 2.0 are read")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not loaded")
    return Header(tuple(shape), dtype, bool(by_columns) and len(shape) > 1)
