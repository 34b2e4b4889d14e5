"""Dataclasses from JSON and back: every value is checked, what does not fit names itself, unknown keys are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeVar, get_args, get_origin, get_type_hints

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
            return read_part(cls, data)
        except Misfit as misfit:
            raise DamagedRecord(f"{where}: damaged: {misfit}") from None

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the unknown keys that it was read with: a copy all the way down."""
        known = {name: as_json(getattr(self, name)) for name in shape_of(type(self)).readers}
        return {**known, **as_json(self.extra)}


P = TypeVar("P", bound=Part)


class Misfit(Exception):
    """A value that is not what its annotation says, and the path to it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = ""

    def below(self, name: str) -> Misfit:
        """The same, seen from one level higher; ``name``: ``.key`` or ``[index]``."""
        self.path = name + self.path
        return self

    def __str__(self) -> str:
        return f"{self.path.lstrip('.')} {self.problem}".lstrip()


def misfit(value: Any, allowed: str) -> Misfit:
    """Of a value that is there but not allowed."""
    shown = repr(value)
    return Misfit(f"is {shown[:60]}{'...' if len(shown) > 60 else ''}; allowed: {allowed}")


@dataclass(frozen=True)
class Shape:
    """What JSON a dataclass is made of."""

    readers: Mapping[str, Reader]
    """of each field, ``extra`` left out"""
    required: tuple[str, ...]


SHAPES: dict[type[Part], Shape] = {}


def shape_of(cls: type[Part]) -> Shape:
    """The shape of a class, worked out once from its annotations."""
    if cls not in SHAPES:
        own = [item for item in fields(cls) if item.name != "extra"]
        types = get_type_hints(cls)
        required = [item.name for item in own if item.default is MISSING and item.default_factory is MISSING]
        SHAPES[cls] = Shape({item.name: reader_of(types[item.name]) for item in own}, tuple(required))
    return SHAPES[cls]


def read_part(cls: type[P], data: Any) -> P:
    """One dataclass from a JSON object. Raises Misfit."""
    if not isinstance(data, Mapping):
        raise misfit(data, "an object")
    shape = shape_of(cls)
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in data.items():
        if name in shape.readers:
            values[name] = read_below(shape.readers[name], value, f".{name}")
        else:
            extra[name] = value
    for name in shape.required:
        if name not in values:
            raise Misfit("is missing").below(f".{name}")
    return cls(**values, extra=extra)


def read_below(reader: Reader, value: Any, name: str) -> Any:
    """A value inside another, so that a Misfit has the path to it."""
    try:
        return reader(value)
    except Misfit as error:
        raise error.below(name) from None


def reader_of(kind: Any) -> Reader:
    """The reader of an annotated type: a plain one, Any, Literal, ``X | None``, ``tuple[X, ...]``, ``Mapping[str, X]``
    or a dataclass of this kind."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return optional(reader_of(inner))
    if origin is Literal:
        return one_of(*arguments)
    if origin is tuple:
        return each(reader_of(arguments[0]))
    if origin is Mapping:
        return by_name(reader_of(arguments[1]))
    if isinstance(kind, type) and issubclass(kind, Part):
        return lambda value: read_part(kind, value)
    return PLAIN[kind]


def optional(reader: Reader) -> Reader:
    """Takes null as well."""
    return lambda value: None if value is None else reader(value)


def one_of(*words: str) -> Reader:
    """Takes these words alone."""

    def read(value: Any) -> Any:
        if value not in words:
            raise misfit(value, ", ".join(words))
        return value

    return read


def each(reader: Reader) -> Reader:
    """Takes a list; a tuple is made of it."""

    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise misfit(value, "a list")
        return tuple(read_below(reader, item, f"[{index}]") for index, item in enumerate(value))

    return read


def by_name(reader: Reader) -> Reader:
    """Takes an object with any keys."""

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise misfit(value, "an object")
        return {str(name): read_below(reader, item, f".{name}") for name, item in value.items()}

    return read


def anything(value: Any) -> Any:
    """Takes every value of JSON."""
    return value


def text(value: Any) -> Any:
    """Takes a string."""
    if not isinstance(value, str):
        raise misfit(value, "a text")
    return value


def flag(value: Any) -> Any:
    """Takes true and false."""
    if not isinstance(value, bool):
        raise misfit(value, "true or false")
    return value


def whole_number(value: Any) -> Any:
    """Takes what JSON writes without a point."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise misfit(value, "a whole number")
    return value


def number(value: Any) -> Any:
    """Takes any number that is not NaN or infinite, which Python reads in JSON."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise misfit(value, "a finite number")
    return value


PLAIN: dict[Any, Reader] = {Any: anything, str: text, bool: flag, int: whole_number, float: number}


def as_json(value: Any) -> Any:
    """A value of a dataclass as JSON has it."""
    if isinstance(value, Part):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_json(item) for item in value]
    return value
