"""Images and labels in parquet files, as Hugging Face lays them out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sslbench import BuildContext, DatasetSpec, PathText, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.columns import Table
from sslbench_plugins.blocks.images_on_disk.file_parts import Source
from sslbench_plugins.blocks.images_on_disk.split_files import SplitFiles, split_files
from sslbench_plugins.blocks.images_on_disk.table_files import SplitTables, TableParams, build_tables, provides
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits

FOOTER = 64 * 1024
"""bytes at the end of a file that hold its footer: row groups, sizes and statistics"""


class ParquetParams(TableParams):
    """Which files, which of their columns, and how the images are read."""

    path: PathText = param(..., "a parquet file, or a folder with train-*.parquet and test-*.parquet", min_length=1)


class ParquetTable(Table):
    """A parquet file."""

    in_splits = "train.parquet and test.parquet"

    @cached_property
    def schema(self) -> Any:
        return self.opened(lambda: parquet_module().read_schema(self.file))

    @cached_property
    def rows(self) -> int:
        return int(self.opened(lambda: parquet_module().read_metadata(self.file)).num_rows)

    def read(self, columns: Any) -> Any:
        return self.opened(lambda: parquet_module().read_table(self.file, columns=list(columns)))

    def images(self, column: str) -> list[Source]:
        cells = self.read([column]).column(column).to_pylist()
        return [(cell.get("bytes") if isinstance(cell, dict) else cell) or b"" for cell in cells]


def parquet_module() -> Any:
    """pyarrow's reader. Raises UserError where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise UserError("parquet: needs pyarrow; pip install pyarrow") from None
    return pyarrow.parquet


def files_of(params: ParquetParams) -> SplitFiles:
    """The files that the user names."""
    return split_files(Path(os.path.expanduser(params.path)), "parquet", ".parquet", "a parquet file")


def build(params: ParquetParams, context: BuildContext) -> TwoSplits:
    """The files' own splits, or a fixed share of each class, by a hash of the row, as the test split."""
    files = files_of(params)
    tables = {file: ParquetTable("parquet", file) for file in [*files.used, *files.others]}

    def left_out() -> Mapping[str, int]:
        others = {f"in {files.name(file)}, of no split": tables[file].rows for file in files.others}
        return {**files.not_looked_at(), **others}

    tests = {role: [tables[file] for file in part] for role, part in files.tests.items()}
    split = SplitTables([tables[file] for file in files.train], tests, left_out)
    # Taken before the files are read, so that a change while they are makes another key next time.
    key = [fingerprint(params), *(f"{file.resolve()}\0{file.stat().st_mtime_ns}" for file in files.used)]
    return build_tables(split, params, f"parquet {params.path}", key)


def fingerprint(params: ParquetParams) -> str:
    """Digest of names, sizes and the end of each file, where parquet keeps its footer."""
    files = files_of(params)
    digest = blake2b(digest_size=8)
    for file in files.used:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - FOOTER))
            digest.update(f"{files.name(file)}\0{size}\0".encode("utf-8", "surrogateescape") + stream.read())
    return digest.hexdigest()


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [DatasetSpec(name="parquet", params=ParquetParams, build=build, fingerprint=fingerprint, provides=provides)]
