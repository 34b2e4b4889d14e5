"""Which parquet files are of which split, and which of their columns are the image and the label."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sslbench import UserError, param
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams

Result = TypeVar("Result")
TRAIN = ("train",)
TEST = ("test", "validation", "valid", "val")
LABELS = ("label", "labels", "fine_label", "target", "class")


class ParquetParams(ReadingParams):
    """Which files, which of their columns, and how the images are read."""

    path: str = param(..., "a parquet file, or a folder with train-*.parquet and test-*.parquet", min_length=1)
    image: str = param("", "column of the images: bytes, or a struct with bytes; empty: the one that looks like it")
    label: str = param("", f"column of the labels; empty: the first of {', '.join(LABELS)}")
    size: int = param(0, "side to which images are resized and centre-cropped; 0: as they are", ge=0, unit="px")
    test_share: float = param(0.2, "part of each class to evaluate on, where no test file has labels", gt=0, lt=1)


@dataclass(frozen=True)
class ParquetFiles:
    """The files of a data set."""

    train: list[Path]
    tests: list[list[Path]]
    """of each split that may be evaluated on, the first choice first"""


def parquet_files(params: ParquetParams) -> ParquetFiles:
    """The files at the path. Raises UserError where there are none, or several data sets."""
    path = Path(params.path).expanduser()
    if path.is_file():
        return ParquetFiles([path], [])
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
    return ParquetFiles(train, tests)


def belongs(file: Path, split: str) -> bool:
    """``train-00000-of-00002.parquet``, ``train.parquet`` and ``train/0000.parquet`` belong to ``train``."""
    return file.stem == split or file.name.startswith((f"{split}-", f"{split}_")) or file.parent.name == split


def root_of(file: Path) -> Path:
    """The folder of a file's data set, above the folder of its split."""
    return file.parent.parent if file.parent.name in (*TRAIN, *TEST) else file.parent


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


@dataclass(frozen=True)
class Columns:
    """Names of the columns of one file."""

    image: str
    label: str
    classes: list[str] | None
    """names of the classes, where the schema has them"""


def columns_of(file: Path, params: ParquetParams) -> Columns:
    """The columns that the user named, or those that look like it. Raises UserError for what cannot be used."""
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
    if pa.types.is_nested(schema.field(label).type) or pa.types.is_floating(schema.field(label).type):
        kind = schema.field(label).type
        raise UserError(f"parquet: column {label!r} of {file.name} holds {kind}; labels are integers or words")
    return Columns(image, label, class_names(schema, label))


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
