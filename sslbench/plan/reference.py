"""How a plugin is named in a suite and on the command line: ``NAME`` or ``NAME:key=value,key=value``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sslbench.errors import UserError


@dataclass(frozen=True)
class Reference:
    """A plugin by name, the parameters that were given, and where that was written."""

    name: str
    given: Mapping[str, Any] = field(default_factory=dict)  # parameters, not checked
    where: str = ""  # such as ``--method`` or ``mine.toml: axes.method[0]``, for messages; or empty

    def __str__(self) -> str:
        """``NAME:key=value,...``, as the command line takes it."""
        pairs = (f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in self.given.items())
        return ":".join([self.name, *([",".join(pairs)] if self.given else [])])


def parse_reference(text: str, where: str = "") -> Reference:
    """``simclr:temperature=0.2,optimizer=adamw``; values are JSON where they can be, else text. A comma in brackets, or
    before a piece without ``=``, belongs to the value: ``few-label:labels=[2,13]``, ``imagefolder:root=/data/a,b``.
    Raises UserError for an empty name or a parameter without a value."""
    name, _, rest = text.partition(":")
    prefix = f"{where}: " if where else ""
    if not name.strip():
        raise UserError(f"{prefix}{text!r} names no plugin; expected NAME or NAME:key=value,key=value")
    given: dict[str, Any] = {}
    for piece in split_pairs(rest):
        key, equals, value = piece.partition("=")
        if not equals or not key.strip():
            raise UserError(f"{prefix}{text!r}: {piece!r} is not key=value; expected NAME:key=value,key=value")
        given[key.strip()] = parse_value(value)
    return Reference(name.strip(), given, where)


def split_pairs(text: str) -> list[str]:
    """``a=1,b=[2,3],c=x,y`` -> ``["a=1", "b=[2,3]", "c=x,y"]``."""
    pieces: list[str] = []
    depth = 0
    for part in text.split(",") if text else []:
        if pieces and (depth > 0 or "=" not in part):
            pieces[-1] += "," + part
        else:
            pieces.append(part)
        depth += sum(part.count(c) for c in "[{") - sum(part.count(c) for c in "]}")
    return pieces


def parse_value(text: str) -> Any:
    """A JSON value (``0.2``, ``true``, ``[2,13]``), else the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    # NaN and Infinity are Python's extension of JSON; as parameters they are never meant.
    return text if isinstance(value, float) and value - value != 0 else value


def read_reference(item: object, where: str) -> Reference:
    """One entry of a suite's axis: a text as above, or a table with ``name`` and the parameters beside it. Raises
    UserError for anything else."""
    if isinstance(item, Reference):
        return Reference(item.name, item.given, item.where or where)
    if isinstance(item, str):
        return parse_reference(item, where)
    if isinstance(item, Mapping) and isinstance(item.get("name"), str):
        return Reference(item["name"], {key: value for key, value in item.items() if key != "name"}, where)
    raise UserError(f'{where} = {item!r}: expected "NAME:key=value" or {{ name = "NAME", key = value }}')
