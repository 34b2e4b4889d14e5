"""Dataclasses from JSON and back: every value is checked, what does not fit names itself, unknown keys are kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from sslbench.errors import StoreError

Reader = Callable[[Any], Any]
"""checks a value of JSON and returns it as the dataclass has it; raises Misfit"""


class DamagedRecord(StoreError):
    """A stored record that is not what its schema says: which one, where in it, what is allowed there."""


@dataclass(frozen=True)
class Part:
    """A record or a part of one. Keys that this version does not know are kept in ``extra``."""

    extra: Mapping[str, Any] = field(default_factory=dict, kw_only=True, repr=False)

    @classmethod
    def from_json(cls, data: Any, where: str = "record") -> Self:
        """Raises DamagedRecord, whose words begin with ``where``, for anything that does not fit."""
        try:
            part: Self = read_part(cls, data)
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
        super().__init__(problem)
        self.problem, self.path = problem, path

    def __str__(self) -> str:
        return f"{self.path.lstrip('.')} {self.problem}".lstrip()


SHAPES: dict[type[Part], dict[str, tuple[Reader, bool]]] = {}


def shape_of(cls: type[Part]) -> dict[str, tuple[Reader, bool]]:
    """Each field but ``extra`` -> its reader, and whether it must be there; worked out once from the annotations."""
    if cls not in SHAPES:
        types = get_type_hints(cls)
        SHAPES[cls] = {
            item.name: (reader_of(types[item.name]), item.default is item.default_factory)  # both MISSING
            for item in fields(cls)
            if item.name != "extra"
        }
    return SHAPES[cls]


def read_part(cls: type[Part], data: Any) -> Any:
    """One dataclass from a JSON object."""
    shape = shape_of(cls)
    extra = {name: value for name, value in checked(Mapping, "an object", data).items() if name not in shape}
    values = {}
    for name, (reader, required) in shape.items():
        if name in data:
            values[name] = read_below(reader, data[name], f".{name}")
        elif required:
            raise Misfit("is missing", f".{name}")
    return cls(**values, extra=extra)


def read_below(reader: Reader, value: Any, name: str) -> Any:
    """A value inside another, ``.key`` or ``[index]``, so that a Misfit has the path to it."""
    try:
        return reader(value)
    except Misfit as error:
        error.path = name + error.path
        raise


def reader_of(kind: Any) -> Reader:
    """The reader of an annotated type: a plain one, Any, Literal, ``X | None``, ``tuple[X, ...]``, ``Mapping[str, X]``
    or a dataclass of this kind."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (inner,) = (reader_of(argument) for argument in arguments if argument is not NoneType)
        return lambda value: None if value is None else inner(value)
    if origin is Literal:
        return partial(one_of, arguments)
    if origin is tuple:
        return partial(each, reader_of(arguments[0]))
    if origin is Mapping:
        return partial(by_name, reader_of(arguments[1]))
    return PLAIN[kind] if kind in PLAIN else partial(read_part, kind)


def checked(kind: Any, allowed: str, value: Any) -> Any:
    """A value of this kind; true and false are no numbers, NaN and infinities, which Python reads in JSON, neither."""
    number = isinstance(value, float) and not math.isfinite(value)
    if number or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        shown = repr(value)
        raise Misfit(f"is {shown[:60]}{'...' if len(shown) > 60 else ''}; allowed: {allowed}")
    return value


def one_of(words: tuple[str, ...], value: Any) -> Any:
    """One of these words."""
    return value if value in words else checked((), ", ".join(words), value)


def each(reader: Reader, value: Any) -> tuple[Any, ...]:
    """A tuple from a list."""
    items = checked((list, tuple), "a list", value)
    return tuple(read_below(reader, item, f"[{index}]") for index, item in enumerate(items))


def by_name(reader: Reader, value: Any) -> dict[str, Any]:
    """An object with any keys."""
    items = checked(Mapping, "an object", value).items()
    return {str(name): read_below(reader, item, f".{name}") for name, item in items}


PLAIN: dict[Any, Reader] = {
    Any: lambda value: value,
    str: partial(checked, str, "a text"),
    bool: partial(checked, bool, "true or false"),
    int: partial(checked, int, "a whole number"),
    float: partial(checked, (int, float), "a finite number"),
}


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
        return float(value) if math.isfinite(value) else None
    raise StoreError(f"a record's {where} is a {type(value).__name__}, which JSON cannot hold")


def canonical(value: Mapping[str, Any]) -> str:
    """The text of plain values: keys sorted, no blanks, ASCII. Equal values have equal texts."""
    return json.dumps(plain(value, ""), sort_keys=True, separators=(",", ":"), allow_nan=False)
