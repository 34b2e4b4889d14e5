"""Images and labels in parquet files, as Hugging Face lays them out."""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch

from sslbench import DatasetSpec, Params, Split, UserError, hookimpl, param
from sslbench_plugins.blocks.decode import decode_all
from sslbench_plugins.blocks.held_out import held_out
from sslbench_plugins.blocks.resident import ResidentDataset

TRAIN = ("train",)
TEST = ("test", "validation", "valid", "val")
LABELS = ("label", "labels", "fine_label", "target", "class")
FOOTER = 64 * 1024
"""bytes at the end of a file that hold its footer: row groups, sizes and statistics"""


class ParquetParams(Params):
    path: str = param(..., "a parquet file, or a folder with train-*.parquet and test-*.parquet", min_length=1)
    image: str = param("", "column of the images: bytes, or a struct with bytes; empty: the one that looks like it")
    label: str = param("", f"column of the labels; empty: the first of {', '.join(LABELS)}")
    size: int = param(0, "side to which images are resized and centre-cropped; 0: as they are", ge=0, unit="px")
    on_error: str = param("error", "what to do with an image that cannot be read", pattern="^(error|skip)$")
    test_share: float = param(0.2, "part of each class to judge on, where there is no test file", gt=0, lt=1)


def find(params: ParquetParams) -> tuple[list[Path], list[Path]]:
    """Files to train on and to judge on (none: a part of the others). Raises UserError where there are none."""
    path = Path(params.path).expanduser()
    if path.is_file():
        return [path], []
    if not path.is_dir():
        raise UserError(f"parquet: path={params.path} does not exist; expected a parquet file or a folder of them")
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise UserError(f"parquet: no *.parquet file in {path}")
    train = [file for file in files if file.name.startswith(TRAIN) or file.parent.name in TRAIN]
    test: list[Path] = []
    for name in TEST:
        test = test or [file for file in files if file.name.startswith(f"{name}-") or file.stem == name]
    if not train:
        train = [file for file in files if file not in test]
    if not train:
        raise UserError(f"parquet: only {test[0].name} in {path}; files to train on are named train-*.parquet")
    return train, test


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
    image = params.image or next((field.name for field in schema if has_bytes(field.type)), "")
    label = params.label or next((name for name in LABELS if name in schema.names), "")
    for wanted, column in (("image", image), ("label", label)):
        if column not in schema.names:
            what = f"no column {column!r}" if column else f"no column that looks like the {wanted}"
            raise UserError(f"parquet: {file.name} has {what}; {wanted}=COLUMN names it (columns: {names})")
    if not has_bytes(schema.field(image).type):
        raise UserError(f"parquet: column {image!r} of {file.name} holds {schema.field(image).type}, not image bytes")
    return image, label


def read(files: list[Path], params: ParquetParams) -> tuple[list[bytes], list[Any], list[str] | None]:
    """Encoded images, labels as they are, and class names where the schema has them."""
    parquet = reader()
    images: list[bytes] = []
    labels: list[Any] = []
    names: list[str] | None = None
    for file in files:
        try:
            schema = parquet.read_schema(file)
            image, label = columns(schema, params, file)
            table = parquet.read_table(file, columns=[image, label])
        except (OSError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"parquet: {file} cannot be read: {error}") from None
        cells = table.column(image).to_pylist()
        images += [(cell.get("bytes") if isinstance(cell, dict) else cell) or b"" for cell in cells]
        labels += table.column(label).to_pylist()
        names = names or class_names(schema, label)
    return images, labels, names


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
    if names and all(isinstance(label, int) and 0 <= label < len(names) for label in labels):
        return labels, names
    classes = sorted(set(labels))
    place = {label: number for number, label in enumerate(classes)}
    return [place[label] for label in labels], [str(label) for label in classes]


def build(params: ParquetParams, *, download: bool) -> ResidentDataset:
    train_files, test_files = find(params)
    where = f"parquet {params.path}"
    images, raw, names = read(train_files, params)
    border = len(images)
    if test_files:
        more, more_raw, _ = read(test_files, params)
        images, raw = images + more, raw + more_raw
    labels, classes = numbered(raw, names, where)
    if test_files:
        aside = [place >= border for place in range(len(images))]
    else:
        aside = held_out([str(place) for place in range(len(images))], labels, params.test_share)
    titles = [f"row {place if place < border else place - border}" for place in range(len(images))]
    decoded = decode_all(images, titles, params.size or None, params.on_error, where)

    def split(side: bool) -> Split:
        places = [place for place, original in enumerate(decoded.kept) if aside[original] is side]
        originals = [decoded.kept[place] for place in places]
        return Split(
            decoded.images[places],
            torch.tensor([labels[original] for original in originals], dtype=torch.int64),
            skipped=sum(out is side for out in aside) - len(places),
        )

    return ResidentDataset(split(False), split(True), classes)


def fingerprint(params: ParquetParams) -> str:
    """Digest of names, sizes and the end of each file, where parquet keeps its footer."""
    train, test = find(params)
    digest = blake2b(digest_size=8)
    for file in train + test:
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
