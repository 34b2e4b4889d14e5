"""Values as people write them, checked against a model: types are strict, and every mistake is one line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, PlainValidator, ValidationError, WrapValidator

from sslbench.errors import did_you_mean, quoted, shortened

M = TypeVar("M", bound=BaseModel)
Fault = Mapping[str, Any]  # one mistake, as pydantic describes it
NUMBER = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
OWN_READING = ("before", "wrap", "plain")  # validators by which a model's author reads a value in a way of their own
DEEPEST = 50  # levels of lists and tables


class Written(str):
    """Text of the command line. The declared type of its parameter says what it is: text, a number, a list."""


def read_json(text: str) -> Any:
    """A value of JSON (``0.2``, ``true``, ``[2,13]``), also ``.5`` and ``True``; any other text is itself. Raises
    ValueError for a table with a key twice."""
    if text in ("True", "False"):
        return text == "True"
    if NUMBER.fullmatch(text):
        return float(text)
    try:
        value = json.loads(text, object_pairs_hook=once)
    except (json.JSONDecodeError, RecursionError):
        return text
    except ValueError as error:
        if isinstance(error, KeyTwice):
            raise
        return text  # an integer of more digits than Python reads
    # NaN and Infinity are Python's extension of JSON; as parameters they are never meant.
    return text if isinstance(value, float) and value - value != 0 else value


class KeyTwice(ValueError):
    """A table of JSON has one key twice."""


def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The table. Raises KeyTwice."""
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        raise KeyTwice(f"key {quoted(max(keys, key=keys.count))} is given twice")
    return table


def checked(
    model: type[M], data: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> tuple[M | None, list[Fault]]:
    """The model of ``data``, or None, and its mistakes. What was ``given`` (default: all of it) must have the declared
    type: an integer may stand for a float and a list for a tuple, nothing else for anything else."""
    given = data if given is None else given
    if faults := list(unreadable(given)):
        return None, faults
    strict = strict_faults(model, data)
    faults += [fault for fault in strict if is_at(given, fault["loc"]) and not read_otherwise(model, fault["loc"])]
    places = {fault["loc"] for fault in faults}
    try:
        instance = model.model_validate(data)
    except ValidationError as error:
        instance, lax = None, error.errors(include_url=False, include_context=False)
        faults += [fault for fault in lax if fault["loc"] not in places]
    return (None if faults else instance), faults


def strict_faults(model: type[BaseModel], data: Mapping[str, Any]) -> Sequence[Fault]:
    """What JSON of the same values would be refused for."""
    try:
        # A byte of a file's name that is no text has no place in JSON; it says nothing about types.
        text = json.dumps(data, default=str, ensure_ascii=False)
        model.model_validate_json(text.encode(errors="replace"), strict=True)
    except ValidationError as error:
        return error.errors(include_url=False, include_context=False)
    return ()


def unreadable(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[Fault]:
    """A fault for each value that JSON has not, for each integer of more than 64 bits, for what lies too deep."""
    message = ""
    if isinstance(value, Mapping) and len(place) < DEEPEST:
        for key, item in value.items():
            yield from unreadable(item, (*place, str(key)))
    elif isinstance(value, (list, tuple, set, frozenset)) and len(place) < DEEPEST:
        for index, item in enumerate(value):
            yield from unreadable(item, (*place, index))
    elif isinstance(value, (Mapping, list, tuple)):
        message = f"lists and tables may be nested {DEEPEST} levels deep"
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        message = "an integer may have 64 bits"
    elif not (value is None or isinstance(value, (str, int, float, Path))):
        message = f"a {type(value).__name__} is no value here; allowed: text, numbers, true, false, lists and tables"
    if message:
        yield {"type": "unreadable", "loc": place, "msg": message, "input": value}


def is_at(data: Any, place: Sequence[str | int]) -> bool:
    """Whether the data has something at this place; parts that name no key or index are ignored."""
    for part in place:
        if isinstance(data, Mapping):
            if part not in data:
                return False
            data = data[part]
        elif isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            break
    return True


def owners(model: type[BaseModel], place: Sequence[str | int]) -> Iterator[tuple[type[BaseModel], str]]:
    """The models that a place leads through, each with the key that is taken in it."""
    annotation: Any = model
    for part in place:
        inner = [item for item in (annotation, *get_args(annotation)) if isinstance(item, type)]
        owner = next((item for item in inner if issubclass(item, BaseModel)), None)
        if owner is not None and get_origin(annotation) not in (list, tuple, dict):
            yield owner, str(part)
            field = owner.model_fields.get(str(part))
            annotation = field.annotation if field else None
        else:
            annotation = owner or next(iter(get_args(annotation)[-1:]), None)


def read_otherwise(model: type[BaseModel], place: Sequence[str | int]) -> bool:
    """Whether the author of a model reads the value at this place in a way of their own."""
    return any(reads_itself(owner, key) for owner, key in owners(model, place))


def reads_itself(model: type[BaseModel], key: str) -> bool:
    """Whether a field has a validator that sees the value before pydantic does."""
    metadata = model.model_fields[key].metadata if key in model.model_fields else ()
    own = any(isinstance(item, (BeforeValidator, PlainValidator, WrapValidator)) for item in metadata)
    decorators = model.__pydantic_decorators__
    modes = [d.info.mode for d in decorators.field_validators.values() if key in d.info.fields]
    modes += [d.info.mode for d in decorators.model_validators.values()]
    return own or any(mode in OWN_READING for mode in modes)


def typed(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given``, with the text of the command line as the declared types of its parameters have it."""
    return {key: of_type(model, key, value) if isinstance(value, Written) else value for key, value in given.items()}


def of_type(model: type[BaseModel], key: str, text: str) -> Any:
    """Text, a number, a list...: the first that the field takes. Raises ValueError for JSON with a key twice."""
    text = str(text)
    value = read_json(text)
    if key not in model.model_fields or value == text or (isinstance(value, str) and text.startswith('"')):
        return value  # what is in quotes of JSON is text
    json_first = reads_itself(model, key) or model.model_fields[key].annotation is Any
    candidates = [value, text] if json_first else [text, value]
    faults = [faults_at(model, key, candidate) for candidate in candidates]
    for candidate, wrong in zip(candidates, faults, strict=True):
        if not wrong:
            return candidate
    of_text = faults[candidates.index(text)]
    return value if json_first or all(fault["type"].endswith("_type") for fault in of_text) else text


def faults_at(model: type[BaseModel], key: str, value: Any) -> list[Fault]:
    """The mistakes of one field."""
    faults = checked(model, {key: value})[1] if reads_itself(model, key) else strict_faults(model, {key: value})
    return [fault for fault in faults if fault["loc"][:1] == (key,)]


def lines(model: type[BaseModel], faults: Sequence[Fault]) -> list[str]:
    """One line per mistake: key, what was given, what is allowed."""
    return [line(model, fault) for fault in faults]


def line(model: type[BaseModel], fault: Fault) -> str:
    """One mistake; an unknown key gets the allowed ones."""
    parts = map(str, fault["loc"])
    key = ".".join(shortened(part) if part.isprintable() else quoted(part) for part in parts)
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"{key} is required"
    if fault["type"] == "extra_forbidden":
        owner, last = list(owners(model, fault["loc"]))[-1]
        allowed = list(owner.model_fields)
        return f"unknown key {quoted(key)}{did_you_mean(last, allowed)} (allowed: {', '.join(allowed)})"
    if fault["type"] == "literal_error":
        message += did_you_mean(str(fault["input"]), re.findall(r"'([^']*)'", message))
    # without a key: about several parameters together
    return f"{key} = {quoted(fault['input'])}: {message[:1].lower()}{message[1:]}" if key else message


def mended(model: type[M], data: Mapping[str, Any]) -> tuple[M | None, list[str]]:
    """The model without what is wrong, so that the rest can be checked, and one line per mistake; None where nothing
    is left that could be one."""
    found: list[str] = []
    for attempt in range(3):
        instance, faults = checked(model, data)
        # What was taken out is no new mistake.
        found += lines(model, [fault for fault in faults if not attempt or fault["type"] != "missing"])
        if instance is not None:
            break
        data = without(data, [fault["loc"] for fault in faults])
    return instance, found


def without(data: Mapping[str, Any], places: Sequence[Sequence[str | int]]) -> dict[str, Any]:
    """The data without what is at these places: the key in the innermost table that leads there."""
    copy = dict(data)
    for key in {place[0] for place in places if place}:
        inner = [place[1:] for place in places if place[:1] == (key,)]
        value = copy.pop(str(key), None)
        if isinstance(value, Mapping) and all(inner):
            copy[str(key)] = without(value, inner)
    return copy
