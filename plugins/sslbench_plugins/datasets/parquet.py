"""Images and labels in parquet files, as Hugging Face lays them out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from sslbench import BuildContext, DatasetSpec, Split, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.class_folders import held_out
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams, read
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits, side_of

Result = TypeVar("Result")
TEST = ("test", "validation", "valid", "val")
LABELS = ("label", "labels", "fine_label", "target", "class")
FOOTER = 64 * 1024
"""bytes at the end of a file that hold its footer: row groups, sizes and statistics"""


class ParquetParams(ReadingParams):
    """Which files, which of their columns, and how the images are read."""

    path: str = param(..., "a parquet file, or a folder with train-*.parquet and test-*.parquet", min_length=1)
    image: str = param("", "column of the images: bytes, or a struct with bytes; empty: the one that looks like it")
    label: str = param("", f"column of the labels; empty: the first of {', '.join(LABELS)}")
    size: int = param(0, "side to which images are resized and centre-cropped; 0: as they are", ge=0, unit="px")
    test_share: float = param(0.2, "part of each class to evaluate on, where no test file has labels", gt=0, lt=1)


def parquet_files(params: ParquetParams) -> tuple[list[Path], list[list[Path]]]:
    """Files to train on, and those of each split that may be evaluated on, the first choice first. Raises UserError
    where there are none, or several data sets."""
    path = Path(params.path).expanduser()
    if path.is_file():
        return [path], []
    if not path.is_dir():
        raise UserError(f"parquet: path={params.path} does not exist; expected a parquet file or a folder of them")
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise UserError(f"parquet: no *.parquet file in {path}")
    named = {name: [file for file in files if belongs(file, name)] for name in ("train", *TEST)}
    train = named["train"]
    tests = [named[name] for name in TEST if named[name]]
    if not train:
        train = [file for file in files if not any(file in test for test in tests)]
    if not train:
        raise UserError(f"parquet: only {tests[0][0].name} in {path}; files to train on are named train-*.parquet")
    # A data set lies above the folder of its split.
    parents = [file.parent for file in named["train"]]
    roots = {folder.parent if folder.name in ("train", *TEST) else folder for folder in parents}
    folders = sorted(folder.relative_to(path).as_posix() for folder in roots)
    if len(folders) > 1:
        raise UserError(f"parquet: {path} holds several data sets: {', '.join(folders)}; give the path of one of them")
    return train, tests


def belongs(file: Path, split: str) -> bool:
    """``train-00000-of-00002.parquet``, ``train.parquet`` and ``train/0000.parquet`` belong to ``train``."""
    return file.stem == split or file.name.startswith((f"{split}-", f"{split}_")) or file.parent.name == split


def parquet_module() -> Any:
    """pyarrow's reader. Raises UserError where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise UserError("parquet: needs pyarrow; pip install pyarrow") from None
    return pyarrow.parquet


def opened(file: Path, how: Callable[[Path], Result]) -> Result:
    """What ``how`` reads from a file. Raises UserError naming a file that cannot be read."""
    try:
        return how(file)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"parquet: {file} cannot be read: {reason}") from None


def columns_of(file: Path, params: ParquetParams) -> tuple[str, str, list[str] | None]:
    """Image and label column, named by the user or looking like it, and names of the classes where the schema has them.
    Raises UserError for what cannot be used."""
    import pyarrow as pa

    schema = opened(file, parquet_module().read_schema)
    # A struct comes first: plain bytes next to it are a digest or the like.
    likely = sorted((field for field in schema if has_bytes(field.type)), key=lambda f: not pa.types.is_struct(f.type))
    image = params.image or next((field.name for field in likely), "")
    label = params.label or next((name for name in LABELS if name in schema.names), "")
    for wanted, column in (("image", image), ("label", label)):
        if column not in schema.names:
            what = f"no column {column!r}" if column else f"no column that looks like the {wanted}"
            names = ", ".join(schema.names)
            raise UserError(f"parquet: {file.name} has {what}; {wanted}=COLUMN names it (columns: {names})")
    if not has_bytes(schema.field(image).type):
        raise UserError(f"parquet: column {image!r} of {file.name} holds {schema.field(image).type}, not image bytes")
    kind = schema.field(label).type
    if pa.types.is_nested(kind) or pa.types.is_floating(kind):
        raise UserError(f"parquet: column {label!r} of {file.name} holds {kind}; labels are integers or words")
    return image, label, class_names(schema, label)


def has_bytes(kind: Any) -> bool:
    """Whether a column of this type holds bytes, or structs with a field ``bytes``."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(kind.field(index).name == "bytes" for index in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def class_names(schema: Any, label: str) -> list[str] | None:
    """Names of the classes that Hugging Face's ``datasets`` writes into the schema's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    except (KeyError, TypeError, ValueError):
        return None


class Rows(NamedTuple):
    """Some rows, in the order of the files."""

    images: list[bytes]
    """encoded, empty where there is none"""
    labels: list[Any]
    """as they are in the file"""
    titles: list[str]
    """file and row of each, for messages"""
    classes: list[str] | None
    """names of the classes, where a schema has them"""


def read_rows(files: Sequence[Path], params: ParquetParams) -> Rows:
    """All rows of the files. Raises UserError for a file that cannot be read or lacks a column."""
    rows = Rows([], [], [], None)
    for file in files:
        image, label, classes = columns_of(file, params)
        table = opened(file, partial(parquet_module().read_table, columns=[image, label]))
        cells = table.column(image).to_pylist()
        rows.images.extend((cell.get("bytes") if isinstance(cell, dict) else cell) or b"" for cell in cells)
        rows.labels.extend(table.column(label).to_pylist())
        rows.titles.extend(f"{file.name} row {row}" for row in range(len(cells)))
        rows = rows._replace(classes=rows.classes or classes)
    return rows


def has_labels(files: Sequence[Path], params: ParquetParams) -> bool:
    """Whether any label is known: published test sets often have -1, or nothing, for every image."""
    for file in files:
        _, label, _ = columns_of(file, params)
        column = opened(file, partial(parquet_module().read_table, columns=[label])).column(label)
        if any(value not in (None, -1) for value in column.to_pylist()):
            return True
    return False


def numbered(labels: list[Any], names: list[str] | None, where: str) -> tuple[list[int], list[str]]:
    """Labels 0..C-1 and class names. Integers with names stay as they are; anything else is numbered in order. Raises
    UserError for missing labels, and for integers that have no name."""
    if any(label is None for label in labels):
        raise UserError(f"{where}: {sum(label is None for label in labels)} labels are missing")
    if names and all(isinstance(label, int) for label in labels):
        beyond = sorted({label for label in labels if not 0 <= label < len(names)})
        if beyond:
            raise UserError(f"{where}: label {beyond[0]} is none of the {len(names)} classes, 0..{len(names) - 1}")
        return labels, names
    classes = sorted(set(labels))
    numbers = {label: number for number, label in enumerate(classes)}
    return [numbers[label] for label in labels], [str(label) for label in classes]


def build(params: ParquetParams, context: BuildContext) -> TwoSplits:
    """The files' own splits, or a fixed share of each class, by a hash of the row, as the test split."""
    train_files, tests = parquet_files(params)
    test_files = next((files for files in tests if has_labels(files, params)), [])
    where = f"parquet {params.path}"
    # Taken before the files are read, so that a change while they are makes another key next time.
    stamps = [f"{file.resolve()}\0{file.stat().st_mtime_ns}" for file in train_files + test_files]
    key = [fingerprint(params), params.image, *stamps]
    train_rows, test_rows = read_rows(train_files, params), read_rows(test_files, params)
    images, titles = train_rows.images + test_rows.images, train_rows.titles + test_rows.titles
    labels, classes = numbered(train_rows.labels + test_rows.labels, train_rows.classes, where)
    every, border = list(range(len(images))), len(train_rows.images)
    train_indices, test_indices = every[:border], every[border:]
    if not test_files:
        train_indices, test_indices = held_out([str(index) for index in every], labels, params.test_share)

    def split(indices: list[int]) -> tuple[Split, Tensor]:
        encoded = Encoded(images, titles, params.size or None, where).only(indices)
        result = read(encoded, params, [*key, *encoded.names])
        kept = torch.tensor([labels[indices[i]] for i in result.kept], dtype=torch.int64)
        return Split(result.images, kept, skipped=len(indices) - len(kept)), result.sums

    train, sums = split(train_indices)

    def test() -> Split:
        part = split(test_indices)[0]
        if len(part) and side_of(part) != side_of(train):
            sides = f"test images measure {side_of(part)} px, training images {side_of(train)} px"
            raise UserError(f"{where}: {sides}; size=N makes them N x N")
        return part

    return TwoSplits(train, test, classes, sums)


def fingerprint(params: ParquetParams) -> str:
    """Digest of names, sizes and the end of each file, where parquet keeps its footer."""
    train, tests = parquet_files(params)
    digest = blake2b(digest_size=8)
    for file in sum(tests, train):
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - FOOTER))
            digest.update(f"{file.name}\0{size}\0".encode() + stream.read())
    return digest.hexdigest()


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [DatasetSpec(name="parquet", params=ParquetParams, build=build, fingerprint=fingerprint)]
