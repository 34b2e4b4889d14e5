"""How a plugin is named in a suite and on the command line: ``NAME`` or ``NAME:key=value,key=value``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sslbench.errors import UserError, quoted
from sslbench.hooks.values import Written


@dataclass(frozen=True)
class Reference:
    """A plugin by name, the parameters that were given, and where that was written."""

    name: str
    given: Mapping[str, Any] = field(default_factory=dict)  # parameters, not checked; ``Written`` where they are text
    where: str = ""  # such as ``--method`` or ``mine.toml: axes.method[0]``, for messages; or empty

    def __str__(self) -> str:
        """``NAME:key=value,...``, as the command line takes it."""
        pairs = (f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in self.given.items())
        return ":".join([self.name, *([",".join(pairs)] if self.given else [])])


def parse_reference(text: str, where: str = "") -> Reference:
    """``simclr:temperature=0.2,optimizer=adamw``; what a value is, its parameter says when it is looked up. A comma in
    brackets or quotes, or before a piece without ``=``, belongs to the value: ``few-label:labels=[2,13]``,
    ``imagefolder:root=/data/a,b``. Raises UserError, one line per mistake: an empty name, no value, a parameter twice.
    """
    name, colon, rest = text.partition(":")
    prefix = f"{where}: " if where else ""
    mistakes = []
    if not name.strip():
        mistakes.append(f"{prefix}{quoted(text)} names no plugin; expected NAME or NAME:key=value,key=value")
    given: dict[str, Any] = {}
    for piece in split_pairs(rest) if rest else [""] if colon else []:
        key, equals, value = piece.partition("=")
        key = key.strip()
        if not equals or not key:
            wrong = f"{quoted(piece)} is not key=value; expected NAME:key=value,key=value"
            mistakes.append(f"{prefix}{quoted(text)}: {wrong}")
        elif key in given:
            mistakes.append(f"{prefix}{quoted(text)}: {quoted(key)} is given twice; a parameter has one value")
        given[key] = Written(value)
    if mistakes:
        raise UserError(*dict.fromkeys(mistakes))
    return Reference(name.strip(), given, where)


def split_pairs(text: str) -> list[str]:
    """``a=1,b=[2,3],c=x,y,d="p,q=r"`` -> ``["a=1", "b=[2,3]", "c=x,y", 'd="p,q=r"']``."""
    pieces: list[str] = []
    depth = 0
    for part in text.split(","):
        if pieces and (depth > 0 or "=" not in part or in_quotes(pieces[-1])):
            pieces[-1] += "," + part
        else:
            pieces.append(part)
        depth += sum(part.count(c) for c in "[{") - sum(part.count(c) for c in "]}")
    return pieces


def in_quotes(piece: str) -> bool:
    """Whether its value begins with a quote of JSON that is not closed."""
    value = piece.partition("=")[2]
    return value.startswith('"') and not re.fullmatch(r'"(\\.|[^"\\])*"', value)


def read_reference(item: object, where: str) -> Reference:
    """One entry of a suite's axis: a text as above, or a table with ``name`` and the parameters beside it. Raises
    UserError for anything else."""
    if isinstance(item, Reference):
        return Reference(item.name, item.given, item.where or where)
    if isinstance(item, str):
        return parse_reference(item, where)
    if isinstance(item, Mapping) and isinstance(item.get("name"), str):
        return Reference(item["name"], {key: value for key, value in item.items() if key != "name"}, where)
    raise UserError(f'{where} = {quoted(item)}: expected "NAME:key=value" or {{ name = "NAME", key = value }}')
