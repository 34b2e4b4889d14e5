"""Dataclasses from JSON and back: every value is checked, what does not fit names itself, unknown keys are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache, partial
from math import isfinite
from sys import intern
from types import UnionType
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from sslbench.errors import StoreError


class DamagedRecord(StoreError):
    """A stored record that is not what its schema says: which one, where in it, what is allowed there."""


Reader = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A record or a part of one. Keys that this version does not know are kept in ``extra``."""

    extra: Mapping[str, Any] = field(default_factory=dict, kw_only=True, repr=False)

    @classmethod
    def from_json(cls, data: Any, where: str = "record") -> Self:
        """Raises DamagedRecord, whose words begin with ``where``, for anything that does not fit."""
        return cls.checked(data, where)

    @classmethod
    def checked(cls, data: Any, where: str, given: Mapping[str, Any] | None = None) -> Self:
        """The same for what is of this version; ``given``: fields that are read already."""
        try:
            part: Self = read_part(cls, data, given)
            return part
        except Misfit as misfit:
            raise DamagedRecord(f"{where}: damaged: {misfit}") from None

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the unknown keys that it was read with: a copy all the way down."""
        known = {name: as_json(getattr(self, name)) for name in shape_of(type(self))}
        return {**known, **as_json(self.extra)}


class Misfit(Exception):
    """A value that is not what its annotation says, and the path to it."""

    def __init__(self, problem: str, path: str = "") -> None:
        self.problem, self.path = problem, path

    def __str__(self) -> str:
        return f"{self.path.lstrip('.')} {self.problem}".lstrip()


@dataclass(frozen=True, slots=True)
class Shape:
    """What a field may hold."""

    read: Reader
    nullable: bool
    required: bool


def shape_of(cls: type[Part]) -> dict[str, Shape]:
    """Each field but ``extra`` -> its shape; worked out once."""
    if cls not in SHAPES:
        types = get_type_hints(cls)
        own = [item for item in fields(cls) if item.name != "extra"]
        SHAPES[cls] = {item.name: shape_of_field(types[item.name], is_required(item)) for item in own}
    return SHAPES[cls]


def shape_of_field(kind: Any, required: bool) -> Shape:
    """Of an annotation; ``X | None`` is nullable."""
    nullable = get_origin(kind) is UnionType
    return Shape(reader_of(get_args(kind)[0] if nullable else kind), nullable, required)


SHAPES: dict[type[Part], dict[str, Shape]] = {}


def is_required(item: Field[Any]) -> bool:
    """Whether a field has no default."""
    return item.default is MISSING and item.default_factory is MISSING


@cache
def reader_of(kind: Any) -> Reader:
    """What reads values of a type: one of ``PLAIN``, Literal, ``X | None``, ``tuple[X, ...]``, ``Mapping[str, X]`` or
    a Part. It returns the value or raises Misfit."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        inner = reader_of(arguments[0])
        return lambda value: None if value is None else inner(value)
    if origin is Literal:
        return lambda value: value if type(value) is str and value in arguments else misfit(value, ", ".join(arguments))
    if origin is tuple:
        return partial(read_items, reader_of(arguments[0]))
    if origin is Mapping:
        return partial(read_pairs, reader_of(arguments[1]))
    return partial(read_part, kind)


def read_part(cls: type[Part], data: Any, given: Mapping[str, Any] | None = None) -> Any:
    """One dataclass from a JSON object; ``given``: fields that are read already."""
    shape = shape_of(cls)
    values = dict(given) if given else {}
    pairs = data if isinstance(data, Mapping) else misfit(data, "an object")
    extra = NOTHING_ELSE
    name = ""
    try:
        for name, value in pairs.items():
            field = shape.get(name)
            if field is None:
                extra = {**extra, name: read_anything(value)}
            else:
                values[name] = None if value is None and field.nullable else field.read(value)
    except Misfit as error:
        error.path = f".{name}{error.path}"
        raise
    if len(values) < len(shape):
        missing = next((name for name, field in shape.items() if field.required and name not in values), None)
        if missing:
            raise Misfit("is missing", f".{missing}")
    return cls(**values, extra=extra)


NOTHING_ELSE: Mapping[str, Any] = {}


def at(place: str, read: Reader, value: Any) -> Any:
    """A value inside another one; a Misfit says where."""
    try:
        return read(value)
    except Misfit as error:
        error.path = place + error.path
        raise


def read_items(read: Reader, value: Any) -> Any:
    """A tuple from a list."""
    items = value if isinstance(value, (list, tuple)) else misfit(value, "a list")
    try:
        return tuple([read(item) for item in items])
    except Misfit:
        return tuple([at(f"[{index}]", read, item) for index, item in enumerate(items)])


def read_pairs(read: Reader, value: Any) -> Any:
    """A dict from an object."""
    pairs = value if isinstance(value, Mapping) else misfit(value, "an object")
    try:
        return {str(name): read(item) for name, item in pairs.items()}
    except Misfit:
        return {name: at(f".{name}", read, item) for name, item in pairs.items()}


def read_anything(value: Any) -> Any:
    """What JSON can hold, nested no deeper than what is done with it bears."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [item for part in level for item in children(part)]
        if not level:
            return value
    return misfit(value, f"values nested at most {DEEPEST} deep")


def children(value: Any) -> Iterable[Any]:
    """The lists and objects right inside a value."""
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return [item for item in inside if isinstance(item, (Mapping, list, tuple))]


def read_text(value: Any) -> Any:
    """Short texts, which many records share, are one object each."""
    if not isinstance(value, str):
        return misfit(value, "a text")
    return intern(value) if type(value) is str and len(value) < SHORT else value


def read_bool(value: Any) -> Any:
    """True and false alone: 1 is none."""
    return value if isinstance(value, bool) else misfit(value, "true or false")


def read_whole(value: Any) -> Any:
    """True and false are no numbers."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and abs(value) < LARGEST:
        return value
    return misfit(value, "a whole number of 64 bits" if is_whole else "a whole number")


def read_number(value: Any) -> Any:
    """Whole or not; NaN and infinity are none."""
    if isinstance(value, float):
        return value if isfinite(value) else misfit(value, "a finite number")
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and abs(value) < LARGEST else misfit(value, "a finite number")


def misfit(value: Any, allowed: str) -> Any:
    """Raises Misfit, which says what was found and what is allowed."""
    shown = repr(value)[:61] if not isinstance(value, int) or abs(value) < LARGEST else f"of {value.bit_length()} bits"
    raise Misfit(f"is {shown[:60]}{'...' if len(shown) > 60 else ''}; allowed: {allowed}")


LARGEST = 2**63
"""smallest whole number that is none of 64 bits"""
DEEPEST = 32
"""levels of lists and objects in a value that has no type of its own"""
SHORT = 32
"""characters"""
PLAIN: dict[Any, Reader] = {Any: read_anything, str: read_text, bool: read_bool, int: read_whole, float: read_number}


def as_json(value: Any) -> Any:
    """A value of a dataclass as JSON has it."""
    if isinstance(value, Part):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, (tuple, list)) else value


def plain(value: Any, where: str) -> Any:
    """``value`` made of what JSON can hold alone: numbers of other libraries become Python's, those that are not finite
    null. Raises StoreError, which says ``where``, for anything else."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}" if where else str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, int):
        return int(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist(), where)
    if hasattr(value, "__float__"):
        return float(value) if isfinite(value) else None
    raise StoreError(f"a record's {where} is a {type(value).__name__}, which JSON cannot hold")


def canonical(value: Mapping[str, Any]) -> str:
    """The text of plain values: keys sorted, no blanks, ASCII. Equal values have equal texts."""
    return json.dumps(plain(value, ""), sort_keys=True, separators=(",", ":"), allow_nan=False)
