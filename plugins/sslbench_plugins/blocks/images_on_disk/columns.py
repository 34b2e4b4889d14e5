"""Tables of images and labels in files: which columns hold them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.file_parts import Source
from sslbench_plugins.blocks.images_on_disk.split_column import may_say_split, roles_of_rows
from sslbench_plugins.blocks.images_on_disk.splits import Role

Result = TypeVar("Result")
IMAGES = ("image", "images", "img", "photo", "picture", "jpg", "jpeg", "png")
NO_LABEL = "none"
"""in the place of a column of labels"""
LABELS = ("label", "labels", "fine_label", "target", "class")
NO_IMAGES = ("mask", "segment", "annotation", "depth", "thumb", "hash", "digest", "md5", "sha", "embedding")
"""in names of columns that hold bytes beside the image"""


class Table(ABC):
    """A file of rows."""

    in_splits: ClassVar[str]
    """how rows of several splits are written, in words"""

    def __init__(self, dataset: str, file: Path, name: str = "") -> None:
        """``dataset``: the plugin's name, for messages; ``name``: of the file, likewise; empty: its last part."""
        self.dataset, self.file, self.name = dataset, file, name or file.name

    @property
    @abstractmethod
    def schema(self) -> Any:
        """pyarrow's. Raises UserError for a file that cannot be read."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """Their number."""

    @abstractmethod
    def read(self, columns: Sequence[str]) -> Any:
        """pyarrow's table of these columns."""

    @abstractmethod
    def images(self, column: str) -> list[Source]:
        """The encoded images of a column; empty bytes where there is none."""

    def features(self) -> Mapping[str, Any]:
        """What Hugging Face's ``datasets`` says of the columns; empty where it did not write the file."""
        return features_in(self.schema.metadata)

    def opened(self, read: Callable[[], Result]) -> Result:
        """What ``read`` returns. Raises UserError where the file cannot be read."""
        try:
            return read()
        except (OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"{self.dataset}: {self.file} cannot be read: {reason}") from None


def features_in(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """By column, of a schema's metadata."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return features if isinstance(features, dict) else {}


def columns_of(table: Table, image: str, label: str) -> tuple[str, str, list[str] | None]:
    """Image and label column, named by the user or looking like it, and names of the classes where the schema has them;
    NO_LABEL for images alone. Raises UserError for what cannot be used."""
    import pyarrow as pa

    schema = table.schema
    image = image or likely_image(table)
    label = label or likely_label(table)
    for wanted, column in {"image": image, "label": label}.items():
        if wanted == "label" and column == NO_LABEL:
            continue
        if column not in schema.names:
            what = f"no column {column!r}" if column else f"no column that looks like the {wanted}"
            names = ", ".join(schema.names)
            way_out = f"{wanted}=COLUMN names it" + (", label=none reads images alone" if wanted == "label" else "")
            raise UserError(f"{table.dataset}: {table.name} has {what}; {way_out} (columns: {names})")
        if schema.names.count(column) > 1:
            raise UserError(
                f"{table.dataset}: {table.name} has the column {column!r} twice; which one counts is not known"
            )
    if not has_bytes(schema.field(image).type):
        raise UserError(
            f"{table.dataset}: column {image!r} of {table.name} holds {schema.field(image).type}, not image bytes"
        )
    if label == NO_LABEL:
        return image, label, None
    kind = schema.field(label).type
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        raise UserError(f"{table.dataset}: column {label!r} of {table.name} holds {kind}; labels are integers or words")
    return image, label, class_names(table, label)


def check_split(table: Table, used: Sequence[str], role: Role, folds: bool) -> None:
    """Raises UserError for a column that says another split than the file's ``role``: rows are split by file alone.
    ``used``: columns of images and labels; ``folds``: whether a column of folds is one."""
    names = table.schema.names
    columns = [name for name in dict.fromkeys(names) if name not in used and may_say_split(name.lower(), folds)]
    if not columns:
        return
    cells_of = table.read(columns).to_pydict()
    texts = {name.lower(): ["" if cell is None else str(cell) for cell in cells] for name, cells in cells_of.items()}
    rows = [dict(zip(texts, line, strict=True)) for line in zip(*texts.values(), strict=True)]
    roles = set(roles_of_rows(rows, f"{table.dataset}: {table.name}")) if rows else set()
    if roles - {role}:
        raise UserError(
            f"{table.dataset}: {table.name}: its column {' and '.join(columns)} says {' and '.join(sorted(roles))}, and"
            f" rows are split by file alone; write {table.in_splits}"
        )


def likely_image(table: Table) -> str:
    """Of the columns that hold bytes: one with a usual name, else the one that is no mask or digest, structs before
    plain bytes; empty where there is none. Raises UserError for several."""
    import pyarrow as pa

    features = table.features()
    others = {name for name, feature in features.items() if kind_of(feature) not in ("Image", "Value")}
    able = [field for field in table.schema if has_bytes(field.type) and field.name not in others]
    named = first_of(IMAGES, [field.name for field in able])
    if named:
        return named
    likely = [field for field in able if not any(word in field.name.lower() for word in NO_IMAGES)]
    structs = [field for field in likely if pa.types.is_struct(field.type)]
    candidates = [field.name for field in structs or likely]
    if len(candidates) > 1:
        names = ", ".join(candidates)
        raise UserError(f"{table.dataset}: {table.name} has several columns of images: {names}; image=COLUMN names one")
    return candidates[0] if candidates else ""


def likely_label(table: Table) -> str:
    """A column with a usual name, else the only one that has names of classes; empty where there is none. Raises
    UserError for several."""
    named = first_of(LABELS, table.schema.names)
    if named:
        return named
    classes = [name for name in table.schema.names if class_names(table, name) is not None]
    if len(classes) > 1:
        names = ", ".join(classes)
        raise UserError(
            f"{table.dataset}: {table.name} has several columns of classes: {names}; label=COLUMN names one"
        )
    return classes[0] if classes else ""


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


def kind_of(feature: Any) -> str:
    """``Image``, ``ClassLabel``, ``Audio``, ...; ``Value`` where it is not said."""
    return str(feature.get("_type", "Value")) if isinstance(feature, dict) else "Value"


def class_names(table: Table, label: str) -> list[str] | None:
    """Names of the classes that Hugging Face's ``datasets`` writes into the schema's metadata."""
    try:
        return [str(name) for name in table.features()[label]["names"]]
    except (KeyError, TypeError):
        return None
