"""One arrow file: its rows without its images, which stay where they are in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sslbench_plugins.blocks.images_on_disk.columns import Table
from sslbench_plugins.blocks.images_on_disk.file_parts import FilePart, Missing, Source

FILE_FORMAT = b"ARROW1"
"""what a file with a footer begins with; a stream does not"""
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


class ArrowTable(Table):
    """An arrow file, as ``datasets`` keeps them, read through a mapping of the file."""

    in_splits = "a DatasetDict with the splits train and test"

    def __init__(self, file: Path, name: str, features: Mapping[str, Any]) -> None:
        """``name``: below the data set's folder; ``features``: of all columns; empty: those that the file tells."""
        super().__init__("hf-disk", file, name)
        self._features = features

    @cached_property
    def _mapped(self) -> tuple[int, int, Any]:
        """Address and length of the mapped file, and its table. Raises UserError for what is no whole arrow file."""
        return self.opened(lambda: mapped(self.file))

    @property
    def schema(self) -> Any:
        return self._mapped[2].schema

    @property
    def rows(self) -> int:
        return int(self._mapped[2].num_rows)

    def features(self) -> Mapping[str, Any]:
        return self._features or super().features()

    def read(self, columns: Sequence[str]) -> Any:
        return self.opened(lambda: self._mapped[2].select(list(columns)))

    def images(self, column: str) -> list[Source]:
        address, length, table = self._mapped
        chunks = table.column(column).chunks
        return [image for chunk in chunks for image in images_in(chunk, self.file, address, length)]


def mapped(file: Path) -> tuple[int, int, Any]:
    """Address and length of a mapped file, and its table, which is not read. Raises ValueError or OSError."""
    import pyarrow as pa

    if file.stat().st_size == 0:
        raise ValueError("it is empty")
    content = pa.memory_map(str(file)).read_buffer()
    if content[: len(FILE_FORMAT)].to_pybytes() == FILE_FORMAT:
        table = pa.ipc.open_file(content).read_all()
    else:
        table = pa.ipc.open_stream(content).read_all()
        # Of a stream that is cut between two batches the first ones are read without a word.
        if content[max(0, len(content) - len(END_OF_STREAM)) :].to_pybytes() != END_OF_STREAM:
            raise ValueError("it is cut short")
    return content.address, len(content), table


def images_in(chunk: Any, file: Path, address: int, length: int) -> list[Source]:
    """Of a chunk of a column of bytes, or of structs with the fields ``bytes`` and ``path``."""
    import pyarrow as pa

    if not pa.types.is_struct(chunk.type):
        return parts_of(chunk, file, address, length)
    names = [chunk.type.field(index).name for index in range(chunk.type.num_fields)]
    fields = dict(zip(names, chunk.flatten(), strict=True))
    parts = parts_of(fields["bytes"], file, address, length)
    paths = fields["path"].to_pylist() if "path" in fields else [None] * len(parts)
    return [part or outside(path, file.parent) for part, path in zip(parts, paths, strict=True)]


def parts_of(chunk: Any, file: Path, address: int, length: int) -> list[Source]:
    """Where in the file each cell of bytes lies; empty bytes for null; bytes in memory where the file is compressed."""
    import pyarrow as pa

    _, ends, content = chunk.buffers()
    if content is None:
        return [b""] * len(chunk)
    start = content.address - address
    if not 0 <= start <= length:
        return [cell or b"" for cell in chunk.to_pylist()]
    dtype = np.int64 if pa.types.is_large_binary(chunk.type) else np.int32
    offsets = np.frombuffer(ends, dtype)[chunk.offset : chunk.offset + len(chunk) + 1].tolist()
    valid = chunk.is_valid().to_pylist()
    pairs = zip(offsets[:-1], offsets[1:], valid, strict=True)
    return [FilePart(file, start + low, high - low) if there and high > low else b"" for low, high, there in pairs]


def outside(path: str | None, folder: Path) -> Source:
    """The image of a row without bytes: a file, or none that can be read."""
    if not path:
        return b""
    if "://" in path:
        return Missing(f"it is not in the file but at {path}, and nothing is fetched")
    return folder / path
