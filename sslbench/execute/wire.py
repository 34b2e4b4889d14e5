"""Work and events as lines of JSON: plain values that any process can read, no code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from sslbench.contracts.executor import Ended, EpochEnded, Event, Failure, TrainingProgress, Work
from sslbench.execute import events
from sslbench.store.json_parts import DamagedRecord, Part
from sslbench.store.record import DataFacts, Record

EVENTS = {
    kind.__name__: kind
    for kind in (TrainingProgress, EpochEnded, Ended, *vars(events).values())
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
}
READERS: dict[str, Callable[[Any], Any]] = {
    "record": Record.from_json,
    "facts": DataFacts.from_json,
    "failure": lambda value: None if value is None else Failure(**value),
    "step_ms": tuple,
}
"""of the fields of events that are no plain values"""


@cache
def work_adapter() -> TypeAdapter[Work]:
    """Reads and writes work; made once."""
    return TypeAdapter(Work)


def to_line(item: Work | Event) -> str:
    """One line of JSON, without its end; floats are exact. Raises TypeError for an event of another kind."""
    if isinstance(item, Work):
        return json.dumps({"kind": "Work", **work_adapter().dump_python(item, mode="json")})
    kind = type(item).__name__
    if EVENTS.get(kind) is not type(item):
        raise TypeError(f"events that can be sent are {', '.join(sorted(EVENTS))}, not {kind}")
    return json.dumps({"kind": kind, **{field.name: plain(getattr(item, field.name)) for field in fields(item)}})


def from_line(line: str) -> Work | Event:
    """What ``to_line`` wrote. Raises ValueError for anything else."""
    try:
        values = json.loads(line)
        kind = values.pop("kind")
        if kind == "Work":
            return work_adapter().validate_python(values)
        return EVENTS[kind](**{name: READERS.get(name, same)(value) for name, value in values.items()})
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, DamagedRecord) as error:
        raise ValueError(f"neither work nor an event: {line[:100]!r} ({type(error).__name__}: {error})") from None


def plain(value: Any) -> Any:
    """A field of an event as JSON takes it."""
    if isinstance(value, Part):
        return value.to_json()
    return vars(value) if isinstance(value, Failure) else value


def same(value: Any) -> Any:
    """A plain value as it is."""
    return value
