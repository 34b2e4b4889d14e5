"""Images and labels in parquet files, as Hugging Face lays them out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor

from sslbench import BuildContext, DatasetSpec, PathText, Split, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.class_folders import held_out
from sslbench_plugins.blocks.images_on_disk.class_names import check_different
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams, read
from sslbench_plugins.blocks.images_on_disk.splits import Role
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits, side_of
from sslbench_plugins.blocks.images_on_disk.unlabelled import UNLABELLED, check_classes_left, is_minus_one
from sslbench_plugins.datasets.parquet.columns import LABELS, check_split, columns_of, opened, parquet_module
from sslbench_plugins.datasets.parquet.files import ParquetFiles, parquet_files
from sslbench_plugins.datasets.parquet.labels import FileLabels, Label, by_name, cleaned

FOOTER = 64 * 1024
"""bytes at the end of a file that hold its footer: row groups, sizes and statistics"""


class ParquetParams(ReadingParams):
    """Which files, which of their columns, and how the images are read."""

    path: PathText = param(..., "a parquet file, or a folder with train-*.parquet and test-*.parquet", min_length=1)
    image: str = param("", "column of the images: bytes, or a struct with bytes; empty: the one that looks like it")
    label: str = param("", f"column of the labels; empty: the first of {', '.join(LABELS)}")
    size: int = param(0, "side to which images are resized and centre-cropped; 0: as they are", ge=0, unit="px")
    test_share: float = param(0.2, "part of each class to evaluate on, where no test file has labels", gt=0, lt=1)


@dataclass(frozen=True)
class Rows:
    """Rows of all files that are used, in their order, those of the training split first."""

    images: list[bytes]
    """encoded, empty where there is none"""
    labels: list[int]
    """-1 where there is none"""
    titles: list[str]
    """file and row of each, for messages"""
    border: int
    """number of training rows"""
    classes: list[str]

    def labelled(self, start: int, stop: int) -> list[int]:
        """Indices of rows in this range that have a label."""
        return [index for index in range(start, stop) if self.labels[index] >= 0]


def labels_of(file: Path, params: ParquetParams) -> FileLabels:
    """The labels of one file. Raises UserError for a file that cannot be read, lacks a column, or holds no classes."""
    _, label, names = columns_of(file, params.image, params.label)
    written = opened(file, partial(parquet_module().read_table, columns=[label])).column(label).to_pylist()
    values = cleaned(written, file.name, label)
    return FileLabels(file.name, values, names, tuple({value for value in written if is_minus_one(value)}))


def images_of(file: Path, params: ParquetParams) -> list[bytes]:
    """The encoded images of one file."""
    image, _, _ = columns_of(file, params.image, params.label)
    cells = opened(file, partial(parquet_module().read_table, columns=[image])).column(image).to_pylist()
    return [(cell.get("bytes") if isinstance(cell, dict) else cell) or b"" for cell in cells]


def read_rows(train: Sequence[Path], test: Sequence[Path], params: ParquetParams) -> Rows:
    """All rows of the files. Raises UserError for files that do not fit together, for a training split without labels,
    and for a class that only the test split has."""
    files = [*train, *test]
    for file in train:
        check_split(file, columns_of(file, params.image, params.label)[:2], "train", folds=not test)
    parts = [labels_of(file, params) for file in files]
    labels, classes = by_name(parts)
    in_train, in_test = (
        {label for part in parts for label in part if label is not None}
        for parts in (labels[: len(train)], labels[len(train) :])
    )
    where = f"parquet {params.path}"
    check_different(map(str, in_train | in_test), where)
    if not any(part.names for part in parts):
        check_classes_left([value for part in parts for value in (*part.values, *part.minus_ones)], where)
    if not in_train:
        raise UserError(f"{where}: no training row has a label; at least one class is needed")
    if in_test - in_train:
        stray = min(map(str, in_test - in_train))
        raise UserError(f"{where}: has class {stray!r} in its test split alone")
    numbers: dict[Label, int] = {name: number for number, name in enumerate(classes)}
    numbers |= {label: numbers[str(label)] for label in in_train}
    return Rows(
        [image for file in files for image in images_of(file, params)],
        [numbers.get(label, -1) if label is not None else -1 for part in labels for label in part],
        [f"{file.name} row {row}" for file, part in zip(files, labels, strict=True) for row in range(len(part))],
        sum(len(part) for part in labels[: len(train)]),
        classes,
    )


def rows_left_out(files: ParquetFiles, rows: Rows, used: Role | None) -> dict[str, int]:
    """Why -> rows and files that are no part of a split, but for images that cannot be read; ``used``: evaluated on."""

    def count(part: Sequence[Path]) -> int:
        return sum(opened(file, parquet_module().read_metadata).num_rows for file in part)

    counts = Counter({UNLABELLED: sum(label < 0 for label in rows.labels)})
    # Splits are tried in order: those before the one that is used have no label.
    why = "without labels"
    for role, part in files.tests.items():
        if role == used:
            why = "not used"
        else:
            counts[f"split {role}, {why}"] += count(part)
    counts.update({f"in {files.name(file)}, of no split": count([file]) for file in files.others})
    return dict(+(counts + Counter(files.not_looked_at())))


def build(params: ParquetParams, context: BuildContext) -> TwoSplits:
    """The files' own splits, or a fixed share of each class, by a hash of the row, as the test split."""
    files = parquet_files(Path(os.path.expanduser(params.path)))
    used = next((role for role, part in files.tests.items() if any(has_labels(file, params) for file in part)), None)
    test_files = files.tests[used] if used else []
    where = f"parquet {params.path}"
    # Taken before the files are read, so that a change while they are makes another key next time.
    stamps = [f"{file.resolve()}\0{file.stat().st_mtime_ns}" for file in files.train + test_files]
    key = [fingerprint(params), params.image, *stamps]
    rows = read_rows(files.train, test_files, params)
    train_indices, test_indices = rows.labelled(0, rows.border), rows.labelled(rows.border, len(rows.labels))
    if not test_files:
        names, labels = [str(index) for index in train_indices], [rows.labels[index] for index in train_indices]
        parts = held_out(names, labels, params.test_share)
        train_indices, test_indices = ([train_indices[index] for index in part] for part in parts)
    encoded = Encoded(rows.images, rows.titles, params.size or None, where)

    def split(indices: list[int]) -> tuple[Split, Tensor]:
        result = read(encoded.only(indices), params, [*key, *encoded.only(indices).names])
        kept = torch.tensor([rows.labels[indices[i]] for i in result.kept], dtype=torch.int64)
        lost = result.left_out(len(indices))
        part = Split(result.images, kept, left_out=lost, digests=result.digests)
        return replace(part, sides=result.sides, white=result.white, unreadable=result.bad), result.sums

    train, sums = split(train_indices)
    others = Counter(rows_left_out(files, rows, used)) + Counter(train.left_out)

    def test() -> Split:
        part = split(test_indices)[0]
        if len(part) and side_of(part) != side_of(train):
            sides = f"test images measure {side_of(part)} px, training images {side_of(train)} px"
            raise UserError(f"{where}: {sides}; size=N makes them N x N")
        return replace(part, held_out=not test_files)

    return TwoSplits(replace(train, left_out=dict(others)), test, rows.classes, sums)


def has_labels(file: Path, params: ParquetParams) -> bool:
    """Whether any label is known: published test sets often have -1, or nothing, for every image."""
    return any(label is not None for label in labels_of(file, params).values)


def fingerprint(params: ParquetParams) -> str:
    """Digest of names, sizes and the end of each file, where parquet keeps its footer."""
    files = parquet_files(Path(os.path.expanduser(params.path)))
    digest = blake2b(digest_size=8)
    for file in files.used:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - FOOTER))
            digest.update(f"{files.name(file)}\0{size}\0".encode("utf-8", "surrogateescape") + stream.read())
    return digest.hexdigest()


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [DatasetSpec(name="parquet", params=ParquetParams, build=build, fingerprint=fingerprint)]
