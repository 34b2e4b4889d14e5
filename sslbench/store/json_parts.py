"""Dataclasses made from JSON and back: every value is checked, what does not fit names itself, unknown keys are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any, Self

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
        if not isinstance(data, Mapping):
            raise damaged(where, data, "an object")
        readers, required = readers_of(cls)
        values: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for name, value in data.items():
            if name in readers:
                values[name] = readers[name](value, f"{where}: {name}" if ":" not in where else f"{where}.{name}")
            else:
                extra[name] = value
        missing = [name for name in required if name not in values]
        if missing:
            raise DamagedRecord(f"{where}: damaged: {', '.join(missing)} is missing")
        return cls(**values, extra=extra)

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the unknown keys that it was read with."""
        known = {item.name: as_json(getattr(self, item.name)) for item in fields(self) if item.name != "extra"}
        return {**known, **as_json(self.extra)}


Reader = Callable[[Any, str], Any]


def damaged(where: str, given: Any, allowed: str) -> DamagedRecord:
    shown = repr(given)
    return DamagedRecord(f"{where}: damaged: {shown[:60]}{'...' if len(shown) > 60 else ''}; allowed: {allowed}")


def plain_reader(allowed: str, *types: type) -> Reader:
    def read(value: Any, where: str) -> Any:
        if isinstance(value, bool) and bool not in types or not isinstance(value, types):
            raise damaged(where, value, allowed)
        return value

    return read


def optional(reader: Reader) -> Reader:
    return lambda value, where: None if value is None else reader(value, where)


def each(reader: Reader) -> Reader:
    def read(value: Any, where: str) -> Any:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise damaged(where, value, "a list")
        return tuple(reader(item, f"{where}[{place}]") for place, item in enumerate(value))

    return read


def by_name(reader: Reader) -> Reader:
    def read(value: Any, where: str) -> Any:
        if not isinstance(value, Mapping):
            raise damaged(where, value, "an object")
        return {str(name): reader(item, f"{where}.{name}") for name, item in value.items()}

    return read


def one_of(*words: str) -> Reader:
    def read(value: Any, where: str) -> Any:
        if value not in words:
            raise damaged(where, value, ", ".join(words))
        return value

    return read


TEXT = plain_reader("a text", str)
WHOLE = plain_reader("a whole number", int)
NUMBER = plain_reader("a number", int, float)
FLAG = plain_reader("true or false", bool)


def anything(value: Any, where: str) -> Any:
    return value


READERS: dict[str, Reader] = {
    "str": TEXT,
    "str | None": optional(TEXT),
    "int": WHOLE,
    "int | None": optional(WHOLE),
    "float | None": optional(NUMBER),
    "bool | None": optional(FLAG),
    "tuple[float, ...]": each(NUMBER),
    "tuple[float | None, ...] | None": optional(each(optional(NUMBER))),
    "Mapping[str, Any] | None": optional(by_name(anything)),
    "Mapping[str, float | None]": by_name(optional(NUMBER)),
    "Mapping[str, Mapping[str, Any]]": by_name(by_name(anything)),
}
"""annotation of a field, as it is written -> what checks its value; modules with other types add theirs"""


@cache
def readers_of(cls: type[Part]) -> tuple[dict[str, Reader], tuple[str, ...]]:
    """The reader of each field, and the fields that must be there."""
    own = [item for item in fields(cls) if item.name != "extra"]
    required = [item.name for item in own if item.default is MISSING and item.default_factory is MISSING]
    return {item.name: READERS[str(item.type)] for item in own}, tuple(required)


def as_json(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_json(item) for item in value]
    return value
