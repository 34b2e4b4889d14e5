"""Reads the texts of many records. What several records share, such as parameters and machine, is read once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sslbench.store.json_parts import DamagedRecord, Misfit, at, shape_of
from sslbench.store.record import SCHEMA, Record

SHARED = ("data", "inputs", "params", "pretraining", "provenance")
"""fields that records share, in the order of canonical JSON"""
KEYS = sorted([*shape_of(Record), "schema"])
NEXT = {name: KEYS[KEYS.index(name) + 1] for name in SHARED}
"""the key that follows"""
MARK = "\0"
"""stands in the place of what was cut out"""
MOST = {"pretraining": 1_000}
"""field -> parts that are kept at a time: records of one pretraining lie together"""
MOST_OF_OTHERS = 20_000


class Timed(Mapping[str, Any]):
    """A provenance: what is the same for many records, and the time."""

    __slots__ = ("_shared", "_time")

    def __init__(self, shared: Mapping[str, Any], time: str) -> None:
        self._shared, self._time = shared, time

    def __getitem__(self, name: str) -> Any:
        return self._time if name == "time" else self._shared[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shared)

    def __len__(self) -> int:
        return len(self._shared)

    def __repr__(self) -> str:
        return repr(dict(self))


class RecordReader:
    """Reads texts as the store writes them, and any others whole."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, Any]] = {name: {} for name in SHARED}

    def read(self, text: str, where: str) -> Record:
        """The record of a text. Raises DamagedRecord, whose words begin with ``where``."""
        try:
            if (record := self._read_parts(text, where)) is not None:
                return record
            return Record.from_json(json.loads(text), where)
        except Misfit as misfit:
            raise DamagedRecord(f"{where}: damaged: {misfit}") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise DamagedRecord(f"{where}: not JSON: {error}") from None

    def _read_parts(self, text: str, where: str) -> Record | None:
        """None where the text cannot be cut with certainty."""
        rest, parts = cut(text)
        if not parts:
            return None
        data = json.loads(rest)
        # What was cut out begins at a key of the record itself, not of an object in it, if the mark is there.
        if data.pop("schema", 1) != SCHEMA or any(data.pop(name, None) != MARK for name in parts):
            return None
        try:
            given = {name: self._part(name, part) for name, part in parts.items()}
        except ValueError:
            return None
        return Record.checked(data, where, given)

    def _part(self, name: str, text: str) -> Any:
        """A field from its text. Raises ValueError or Misfit."""
        if name != "provenance":
            return self._shared(name, text)
        before, _, after = text.partition('"time":"')
        time, quote, after = after.partition('"')
        shared = self._shared(name, f'{before}"time":""{after}') if quote and "\\" not in time else {}
        # The mark may have stood in an object inside: then the time is elsewhere, and not empty.
        return Timed(shared, time) if shared.get("time") == "" else self._shared(name, text)

    def _shared(self, name: str, text: str) -> Any:
        known = self._parts[name]
        if text not in known:
            if len(known) > MOST.get(name, MOST_OF_OTHERS):
                known.clear()
            known[text] = at(f".{name}", shape_of(Record)[name].read, json.loads(text))
        return known[text]


def cut(text: str) -> tuple[str, dict[str, str]]:
    """A canonical record without the objects of ``SHARED``, and these; those that are not where they should be stay."""
    pieces, parts, end = [], {}, 0
    for name in SHARED:
        start = text.find(f',"{name}":{{', end)
        if start < 0:
            continue
        start += len(name) + 4
        stop = text.find(f'}},"{NEXT[name]}":', start)
        if stop < 0:
            continue
        pieces += [text[end:start], json.dumps(MARK)]
        end = stop + 1
        parts[name] = text[start:end]
    return "".join([*pieces, text[end:]]), parts
