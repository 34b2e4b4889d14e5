"""Images and labels in parquet files, as Hugging Face lays them out."""

from __future__ import annotations

from hashlib import blake2b

import torch
from torch import Tensor

from sslbench import BuildContext, DatasetSpec, Split, UserError, hookimpl
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.held_out import held_out
from sslbench_plugins.blocks.images_on_disk.reading import read
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits, side_of
from sslbench_plugins.datasets.parquet.layout import ParquetParams, parquet_files
from sslbench_plugins.datasets.parquet.rows import Rows, has_labels, numbered, read_rows

FOOTER = 64 * 1024
"""bytes at the end of a file that hold its footer: row groups, sizes and statistics"""


def build(params: ParquetParams, context: BuildContext) -> TwoSplits:
    """The files' own splits, or a fixed share of each class, by a hash of the row, as the test split."""
    files = parquet_files(params)
    test_files = next((test for test in files.tests if has_labels(test, params)), [])
    where = f"parquet {params.path}"
    # Taken before the files are read, so that a change while they are makes another key next time.
    stamps = [f"{file.resolve()}\0{file.stat().st_mtime_ns}" for file in files.train + test_files]
    key = [fingerprint(params), params.image, *stamps]
    train_rows = read_rows(files.train, params)
    rows = joined(train_rows, read_rows(test_files, params))
    labels, classes = numbered(rows.labels, rows.classes, where)
    every, border = range(len(rows.images)), len(train_rows.images)
    if test_files:
        train_indices, test_indices = list(every[:border]), list(every[border:])
    else:
        train_indices, test_indices = held_out([str(index) for index in every], labels, params.test_share)

    def split(indices: list[int]) -> tuple[Split, Tensor]:
        images, titles = [rows.images[i] for i in indices], [rows.titles[i] for i in indices]
        result = read(Encoded(images, titles, params.size or None, where), params, [*key, *titles])
        kept = torch.tensor([labels[indices[i]] for i in result.kept], dtype=torch.int64)
        return Split(result.images, kept, skipped=len(indices) - len(kept)), result.sums

    train, sums = split(train_indices)

    def test() -> Split:
        images, _ = split(test_indices)
        check_one_side(train, images, where)
        return images

    return TwoSplits(train, test, classes, sums)


def joined(train: Rows, test: Rows) -> Rows:
    """The rows of both, those of the training files first; names of the classes are those of the training files."""
    images, labels, titles = train.images + test.images, train.labels + test.labels, train.titles + test.titles
    return Rows(images, labels, titles, train.classes)


def check_one_side(train: Split, test: Split, where: str) -> None:
    """Raises UserError where test images are of another size than training images."""
    if len(test) and side_of(test) != side_of(train):
        sides = f"test images measure {side_of(test)} px, training images {side_of(train)} px"
        raise UserError(f"{where}: {sides}; size=N makes them N x N")


def fingerprint(params: ParquetParams) -> str:
    """Digest of names, sizes and the end of each file, where parquet keeps its footer."""
    files = parquet_files(params)
    digest = blake2b(digest_size=8)
    for file in [*files.train, *(file for test in files.tests for file in test)]:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - FOOTER))
            digest.update(f"{file.name}\0{size}\0".encode() + stream.read())
    return digest.hexdigest()


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    """The data set."""
    return [DatasetSpec(name="parquet", params=ParquetParams, build=build, fingerprint=fingerprint)]
