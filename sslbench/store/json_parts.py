"""Dataclasses from JSON and back: every value is checked, what does not fit names itself, unknown keys are kept."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import UnionType
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from sslbench.errors import StoreError


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
        self.problem, self.path = problem, path

    def __str__(self) -> str:
        return f"{self.path.lstrip('.')} {self.problem}".lstrip()


SHAPES: dict[type[Part], dict[str, tuple[Any, bool, bool]]] = {}


def shape_of(cls: type[Part]) -> dict[str, tuple[Any, bool, bool]]:
    """Each field but ``extra`` -> its type, whether it may be null, and whether it must be there; worked out once."""
    if cls not in SHAPES:
        types = get_type_hints(cls)
        SHAPES[cls] = {
            item.name: (types[item.name], isinstance(types[item.name], UnionType), is_required(item))
            for item in fields(cls)
            if item.name != "extra"
        }
    return SHAPES[cls]


def is_required(item: Field[Any]) -> bool:
    """Whether a field has no default."""
    return item.default is MISSING and item.default_factory is MISSING


def read(kind: Any, value: Any, name: str = "") -> Any:
    """A value of a type: one of ``PLAIN``, Literal, ``X | None``, ``tuple[X, ...]``, ``Mapping[str, X]`` or a Part.
    ``name``: ``.key`` or ``[index]`` inside another value, for the path of a Misfit."""
    try:
        if kind in PLAIN:
            return checked(*PLAIN[kind], value)
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is UnionType:
            return None if value is None else read(arguments[0], value)
        if origin is Literal:
            return value if value in arguments else checked((), ", ".join(arguments), value)
        if origin is tuple:
            items = enumerate(checked((list, tuple), "a list", value))
            return tuple(read(arguments[0], item, f"[{index}]") for index, item in items)
        if origin is Mapping:
            pairs = checked(Mapping, "an object", value).items()
            return {str(key): read(arguments[1], item, f".{key}") for key, item in pairs}
        return read_part(kind, value)
    except Misfit as error:
        error.path = name + error.path
        raise


def read_part(cls: type[Part], data: Any) -> Any:
    """One dataclass from a JSON object."""
    shape = shape_of(cls)
    extra = {name: value for name, value in checked(Mapping, "an object", data).items() if name not in shape}
    values = {}
    for name, (kind, nullable, required) in shape.items():
        if name in data:
            value = data[name]
            values[name] = None if nullable and value is None else read(kind, value, f".{name}")
        elif required:
            raise Misfit("is missing", f".{name}")
    return cls(**values, extra=extra)


PLAIN: dict[Any, tuple[Any, str]] = {
    Any: (object, ""),
    str: (str, "a text"),
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: ((int, float), "a finite number"),
}
"""annotation -> classes of its values, in words"""


def checked(classes: Any, allowed: str, value: Any) -> Any:
    """A value of these classes. True and false are no numbers, and what is not finite is none."""
    misfit = not isinstance(value, classes) or (isinstance(value, bool) and classes not in (bool, object))
    if misfit or (isinstance(value, float) and classes is not object and not math.isfinite(value)):
        shown = repr(value)
        raise Misfit(f"is {shown[:60]}{'...' if len(shown) > 60 else ''}; allowed: {allowed}")
    return value


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
