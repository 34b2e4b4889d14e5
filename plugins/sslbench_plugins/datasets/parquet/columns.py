"""Which columns of a parquet file hold images and labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.split_column import may_say_split, roles_of_rows
from sslbench_plugins.blocks.images_on_disk.splits import Role

Result = TypeVar("Result")
IMAGES = ("image", "images", "img", "photo", "picture", "jpg", "jpeg", "png")
LABELS = ("label", "labels", "fine_label", "target", "class")
NO_IMAGES = ("mask", "segment", "annotation", "depth", "thumb", "hash", "digest", "md5", "sha", "embedding")
"""in names of columns that hold bytes beside the image"""


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


def columns_of(file: Path, image: str, label: str) -> tuple[str, str, list[str] | None]:
    """Image and label column, named by the user or looking like it, and names of the classes where the schema has them.
    Raises UserError for what cannot be used."""
    import pyarrow as pa

    schema = opened(file, parquet_module().read_schema)
    image = image or likely_image(schema, file)
    label = label or first_of(LABELS, schema.names)
    for wanted, column in (("image", image), ("label", label)):
        if column not in schema.names:
            what = f"no column {column!r}" if column else f"no column that looks like the {wanted}"
            names = ", ".join(schema.names)
            raise UserError(f"parquet: {file.name} has {what}; {wanted}=COLUMN names it (columns: {names})")
        if schema.names.count(column) > 1:
            raise UserError(f"parquet: {file.name} has the column {column!r} twice; which one counts is not known")
    if not has_bytes(schema.field(image).type):
        raise UserError(f"parquet: column {image!r} of {file.name} holds {schema.field(image).type}, not image bytes")
    kind = schema.field(label).type
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        raise UserError(f"parquet: column {label!r} of {file.name} holds {kind}; labels are integers or words")
    return image, label, class_names(schema, label)


def check_split(file: Path, used: Sequence[str], role: Role, folds: bool) -> None:
    """Raises UserError for a column that says another split than the file's ``role``: rows are split by file alone.
    ``used``: columns of images and labels; ``folds``: whether a column of folds is one."""
    names = opened(file, parquet_module().read_schema).names
    columns = [name for name in dict.fromkeys(names) if name not in used and may_say_split(name.lower(), folds)]
    if not columns:
        return
    table = opened(file, partial(parquet_module().read_table, columns=columns)).to_pydict()
    texts = {name.lower(): ["" if cell is None else str(cell) for cell in cells] for name, cells in table.items()}
    rows = [dict(zip(texts, line, strict=True)) for line in zip(*texts.values(), strict=True)]
    roles = set(roles_of_rows(rows, f"parquet: {file.name}")) if rows else set()
    if roles - {role}:
        raise UserError(
            f"parquet: {file.name}: its column {' and '.join(columns)} says {' and '.join(sorted(roles))}, and rows are"
            " split by file alone; write train.parquet and test.parquet"
        )


def likely_image(schema: Any, file: Path) -> str:
    """Of the columns that hold bytes: one with a usual name, else the one that is no mask or digest, structs before
    plain bytes; empty where there is none. Raises UserError for several."""
    import pyarrow as pa

    able = [field for field in schema if has_bytes(field.type)]
    named = first_of(IMAGES, [field.name for field in able])
    if named:
        return named
    likely = [field for field in able if not any(word in field.name.lower() for word in NO_IMAGES)]
    structs = [field for field in likely if pa.types.is_struct(field.type)]
    candidates = [field.name for field in structs or likely]
    if len(candidates) > 1:
        names = ", ".join(candidates)
        raise UserError(f"parquet: {file.name} has several columns of images: {names}; image=COLUMN names one")
    return candidates[0] if candidates else ""


def first_of(words: Sequence[str], names: Sequence[str]) -> str:
    """The name that is the first of the words, case ignored; empty where none is."""
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[word] for word in words if word in lower), "")


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
