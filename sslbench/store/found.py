"""What commands found out beside records, kept in a results folder: one file of JSON with a digest for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslbench.errors import StoreError
from sslbench.store.digests import DamagedFile, read_json, write_json
from sslbench.store.json_parts import DamagedRecord, Part

FOLDER = "found"
"""below the results folder"""


@dataclass(frozen=True)
class Found(Part):
    """What one command found out."""

    kind: str
    """the command"""
    name: str
    """of what was looked at, where a folder holds several; else empty"""
    command: str
    """that asks for the same, in words of a shell"""
    document: Mapping[str, Any]
    """as ``--format json`` prints it, or what that is made of"""
    provenance: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Of its file, below the results folder."""
        return f"{FOLDER}/{'-'.join(filter(None, [self.kind, self.name]))}.json"


def keep(folder: Path, found: Found) -> None:
    """Write it in the place of an older one. Raises StoreError."""
    path = folder / found.place
    try:
        write_json(path, found.to_json(), indent=1)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from None


def found_in(folder: Path) -> tuple[list[Found], list[str]]:
    """All that a folder holds, by name, and a line for each file that cannot be read."""
    found, damaged = [], []
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            found.append(Found.from_json(read_json(path), str(path)))
        except (DamagedFile, DamagedRecord) as error:
            damaged.append(str(error))
        except OSError as error:
            damaged.append(f"{path}: cannot be read: {error.strerror}")
    return found, damaged


def typed_as(kind: Any, value: Any, where: str) -> Any:
    """A value of a dataclass, or of another type, from JSON. Raises DamagedRecord, whose words begin with ``where``."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DamagedRecord(f"{where}: damaged: {f'{place}: ' if place else ''}{first['msg']}") from None
