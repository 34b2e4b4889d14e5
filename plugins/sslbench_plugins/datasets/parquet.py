"""Images and labels in parquet files, as Hugging Face lays them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sslbench import BuildContext, DatasetSpec, Split, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk import reading
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.held_out import held_out
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits

TRAIN = ("train",)
TEST = ("test", "validation", "valid", "val")
LABELS = ("label", "labels", "fine_label", "target", "class")
FOOTER = 64 * 1024
"""bytes at the end of a file that hold its footer: row groups, sizes and statistics"""


class ParquetParams(reading.ReadingParams):
    path: str = param(..., "a parquet file, or a folder with train-*.parquet and test-*.parquet", min_length=1)
    image: str = param("", "column of the images: bytes, or a struct with bytes; empty: the one that looks like it")
    label: str = param("", f"column of the labels; empty: the first of {', '.join(LABELS)}")
    size: int = param(0, "side to which images are resized and centre-cropped; 0: as they are", ge=0, unit="px")
    test_share: float = param(0.2, "part of each class to judge on, where no test file has labels", gt=0, lt=1)


def find(params: ParquetParams) -> tuple[list[Path], list[list[Path]]]:
    """Files to train on, and those of each split that may be judged on, the first choice first. Raises UserError where
    there are none."""
    path = Path(params.path).expanduser()
    if path.is_file():
        return [path], []
    if not path.is_dir():
        raise UserError(f"parquet: path={params.path} does not exist; expected a parquet file or a folder of them")
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise UserError(f"parquet: no *.parquet file in {path}")
    named = {name: [file for file in files if belongs(file, name)] for name in (*TRAIN, *TEST)}
    train = [file for name in TRAIN for file in named[name]]
    tests = [named[name] for name in TEST if named[name]]
    if not train:
        train = [file for file in files if not any(file in test for test in tests)]
    if not train:
        raise UserError(f"parquet: only {tests[0][0].name} in {path}; files to train on are named train-*.parquet")
    folders = sorted({root_of(file).relative_to(path).as_posix() for file in named["train"]})
    if len(folders) > 1:
        raise UserError(f"parquet: {path} holds several data sets: {', '.join(folders)}; give the path of one of them")
    return train, tests


def belongs(file: Path, split: str) -> bool:
    """``train-00000-of-00002.parquet``, ``train.parquet`` and ``train/0000.parquet`` belong to ``train``."""
    return file.stem == split or file.name.startswith((f"{split}-", f"{split}_")) or file.parent.name == split


def root_of(file: Path) -> Path:
    """The folder of a file's data set, above the folder of its split."""
    return file.parent.parent if file.parent.name in (*TRAIN, *TEST) else file.parent


def reader() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise UserError("parquet: needs pyarrow; pip install pyarrow") from None
    return pyarrow.parquet


def columns(schema: Any, params: ParquetParams, file: Path) -> tuple[str, str]:
    """Names of the image and label columns."""
    import pyarrow as pa

    def has_bytes(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            return any(kind.field(place).name == "bytes" for place in range(kind.num_fields))
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    names = ", ".join(schema.names)
    # A struct comes first: plain bytes next to it are a digest or the like.
    likely = sorted((field for field in schema if has_bytes(field.type)), key=lambda f: not pa.types.is_struct(f.type))
    image = params.image or next((field.name for field in likely), "")
    label = params.label or next((name for name in LABELS if name in schema.names), "")
    for wanted, column in (("image", image), ("label", label)):
        if column not in schema.names:
            what = f"no column {column!r}" if column else f"no column that looks like the {wanted}"
            raise UserError(f"parquet: {file.name} has {what}; {wanted}=COLUMN names it (columns: {names})")
    if not has_bytes(schema.field(image).type):
        raise UserError(f"parquet: column {image!r} of {file.name} holds {schema.field(image).type}, not image bytes")
    if pa.types.is_nested(schema.field(label).type) or pa.types.is_floating(schema.field(label).type):
        kind = schema.field(label).type
        raise UserError(f"parquet: column {label!r} of {file.name} holds {kind}; labels are integers or words")
    return image, label


def read(files: list[Path], params: ParquetParams) -> tuple[list[bytes], list[Any], list[str], list[str] | None]:
    """Encoded images, labels as they are, the file and row of each, and class names where the schema has them."""
    parquet = reader()
    images: list[bytes] = []
    labels: list[Any] = []
    places: list[str] = []
    names: list[str] | None = None
    for file in files:
        schema = opened(file, parquet.read_schema)
        image, label = columns(schema, params, file)
        table = opened(file, partial(parquet.read_table, columns=[image, label]))
        cells = table.column(image).to_pylist()
        images += [(cell.get("bytes") if isinstance(cell, dict) else cell) or b"" for cell in cells]
        labels += table.column(label).to_pylist()
        places += [f"{file.name} row {row}" for row in range(len(cells))]
        names = names or class_names(schema, label)
    return images, labels, places, names


def labelled(files: list[Path], params: ParquetParams) -> bool:
    """Whether any label is known: published test sets often have -1, or nothing, for every image."""
    for file in files:
        schema = opened(file, reader().read_schema)
        label = columns(schema, params, file)[1]
        known = opened(file, partial(reader().read_table, columns=[label]))
        if any(value not in (None, -1) for value in known.column(label).to_pylist()):
            return True
    return False


def opened(file: Path, how: Callable[[Path], Any]) -> Any:
    """What ``how`` reads from a file, or a UserError that names it."""
    try:
        return how(file)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"parquet: {file} cannot be read: {reason}") from None


def class_names(schema: Any, label: str) -> list[str] | None:
    """Names of the classes that Hugging Face's ``datasets`` writes into the schema's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    except (KeyError, TypeError, ValueError):
        return None


def numbered(labels: list[Any], names: list[str] | None, where: str) -> tuple[list[int], list[str]]:
    """Labels 0..C-1 and class names. Integers with names stay as they are; anything else is numbered in order."""
    if any(label is None for label in labels):
        raise UserError(f"{where}: {sum(label is None for label in labels)} labels are missing")
    if names and all(isinstance(label, int) for label in labels):
        beyond = sorted({label for label in labels if not 0 <= label < len(names)})
        if beyond:
            raise UserError(f"{where}: label {beyond[0]} is none of the {len(names)} classes, 0..{len(names) - 1}")
        return labels, names
    classes = sorted(set(labels))
    place = {label: number for number, label in enumerate(classes)}
    return [place[label] for label in labels], [str(label) for label in classes]


def build(params: ParquetParams, context: BuildContext) -> TwoSplits:
    train_files, tests = find(params)
    test_files = next((files for files in tests if labelled(files, params)), [])
    where = f"parquet {params.path}"
    # Taken before the files are read, so that a change while they are makes another key next time.
    stamps = [f"{file.resolve()}\0{file.stat().st_mtime_ns}" for file in train_files + test_files]
    key = [fingerprint(params), params.image, *stamps]
    images, raw, titles, names = read(train_files, params)
    border = len(images)
    if test_files:
        more, more_raw, more_titles, _ = read(test_files, params)
        images, raw, titles = images + more, raw + more_raw, titles + more_titles
    labels, classes = numbered(raw, names, where)
    if test_files:
        aside = [place >= border for place in range(len(images))]
    else:
        aside = held_out([str(place) for place in range(len(images))], labels, params.test_share)

    def split(side: bool) -> tuple[Split, Tensor]:
        chosen = [place for place, out in enumerate(aside) if out is side]
        encoded = Encoded([images[i] for i in chosen], [titles[i] for i in chosen], params.size or None, where)
        done = reading.read(encoded, params, [*key, *encoded.names])
        known = torch.tensor([labels[chosen[place]] for place in done.kept], dtype=torch.int64)
        return Split(done.images, known, skipped=len(chosen) - len(known)), done.sums

    def test() -> Split:
        found = split(True)[0]
        if len(found) and side_of(found) != side_of(train):
            given = f"{side_of(found)} px, those to train on {side_of(train)} px"
            raise UserError(f"{where}: images to judge on measure {given}; size=N makes them N x N")
        return found

    train, sums = split(False)
    return TwoSplits(train, test, classes, sums)


def side_of(split: Split) -> int:
    return int(split.images[torch.arange(1)].shape[-1])


def fingerprint(params: ParquetParams) -> str:
    """Digest of names, sizes and the end of each file, where parquet keeps its footer."""
    train, tests = find(params)
    digest = blake2b(digest_size=8)
    for file in [*train, *(file for test in tests for file in test)]:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - FOOTER))
            digest.update(f"{file.name}\0{size}\0".encode() + stream.read())
    return digest.hexdigest()


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="parquet",
            summary=__doc__.partition("\n")[0],
            params=ParquetParams,
            build=build,
            fingerprint=fingerprint,
        )
    ]
