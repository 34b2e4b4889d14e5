"""Which records are wanted, and which belong on one row: the same recipe on the same data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from sslbench.errors import UserError, did_you_mean, quoted
from sslbench.report.numbers import NOTHING
from sslbench.store.record import Record, Status

AXES = ("dataset", "method", "augmentation", "masking", "mask_ratio", "backbone")
"""attributes of a record that say which row it is on"""
KINDS = ("method", "augmentation", "masking", "dataset", "backbone", "training")
"""whose parameters say so as well"""
IN_AN_AXIS = {("masking", "ratio")}
"""parameters that are an axis of their own"""
FINGERPRINT = "fingerprint"
"""stands among the parameters of a data set, and of a method that reads files: a part of what they are"""
DIGITS = 8
"""of a fingerprint that are shown"""
FIELDS = "cell status method augmentation masking mask_ratio evaluator dataset backbone seed".split()
STATUSES = get_args(Status)
MOST_SHOWN = 20  # values of a field that a message names


@dataclass(frozen=True)
class Row:
    """One recipe on one data set."""

    axes: Mapping[str, Any]
    params: Mapping[str, Mapping[str, Any]]
    records: list[Record] = field(default_factory=list)

    def name(self, kind: str) -> str:
        """Of the plugin of that kind; the training settings have none."""
        return str(self.axes.get(kind) or "")

    @property
    def epochs(self) -> Any:
        """That it was trained for; None where nothing is trained."""
        return self.params["training"].get("epochs")

    def described(self, kind: str, parameters: Iterable[str], with_ratio: bool, usual_epochs: Any = None) -> str:
        """The name with these parameters, and with the mask ratio of a masking; of training settings these alone.
        ``usual_epochs``: those that need no words; a method has others beside its parameters."""
        params = self.params[kind]
        if kind == "method" and usual_epochs is not None and self.epochs not in (None, usual_epochs):
            params, parameters = {**params, "epochs": self.epochs}, [*parameters, "epochs"]
        if kind == "training" and usual_epochs is not None:
            parameters = [name for name in parameters if name != "epochs"]
        text, ratio = assigned(params, parameters), self.axes["mask_ratio"]
        if kind == "masking" and with_ratio and ratio is not None:
            text = ", ".join(filter(None, [f"ratio={ratio:g}", text]))
        if kind == "training":
            return text
        return f"{self.name(kind)} ({text})" if text else self.name(kind)


def gather(records: Iterable[Record]) -> tuple[list[Row], int]:
    """Rows in the order in which they first appear, without skipped cells, and how many records are left out because
    another one of the same row, evaluator and seed was made later (the store leaves out those before)."""
    rows: dict[str, tuple[Row, dict[tuple[str, int], Record]]] = {}
    known: dict[Any, tuple[Any, dict[tuple[str, int], Record]]] = {}
    evaluator_key = EvaluatorKeys()
    older = 0
    for record in records:
        if record.status == "skipped":
            continue
        axes = [getattr(record, axis) for axis in AXES]
        # Most records share their parameters, as one object, with others: these need no text.
        same = (id(record.params), *axes, record.data_fingerprint, record.weights_fingerprint)
        if same not in known:
            params = {kind: params_of(record, kind) for kind in KINDS}
            row = Row(dict(zip(AXES, axes, strict=True)), params)
            known[same] = record.params, rows.setdefault(as_text([row.axes, params]), (row, {}))[1]
        cells = known[same][1]
        cell = (evaluator_key(record), record.seed)
        older += cell in cells
        if cell not in cells or record.made >= cells[cell].made:
            cells[cell] = record
    for row, cells in rows.values():
        row.records.extend(cells.values())
    return [row for row, _ in rows.values()], older


def params_of(record: Record, kind: str) -> Mapping[str, Any]:
    """Of a plugin of a record, with the fingerprint of what it reads where there is one."""
    params = record.params.get(kind, {})
    content = record.data_fingerprint if kind == "dataset" else record.weights_fingerprint if kind == "method" else ""
    return {**params, FINGERPRINT: content[:DIGITS]} if content else params


class EvaluatorKeys:
    """An evaluator with its parameters: the same text for the same ones."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | None, int], tuple[Any, str]] = {}

    def __call__(self, record: Record) -> str:
        """Worked out once for all records that share their parameters as one object."""
        same = (record.evaluator, id(record.params))
        if same not in self._known:
            text = as_text([record.evaluator, record.params.get("evaluator", {})])
            self._known[same] = record.params, text
        return self._known[same][1]


def as_text(value: Any) -> str:
    """JSON in which equal values have equal texts."""
    return ENCODER.encode(value)


ENCODER = json.JSONEncoder(sort_keys=True)


def differing(settings: Sequence[Mapping[str, Any]], everywhere: bool = True) -> list[str]:
    """Parameters that do not have one value; with ``everywhere``, one that is not always there differs as well."""
    names = dict.fromkeys(name for params in settings for name in params)
    different = []
    for name in names:
        values = [as_text(params[name]) for params in settings if name in params]
        if len(set(values)) > 1 or (everywhere and len(values) < len(settings)):
            different.append(name)
    return different


def distinguishing(rows: Sequence[Row]) -> dict[tuple[str, str], list[str]]:
    """(kind, plugin name) -> the parameters that tell rows of that name apart."""
    parameters = {}
    for kind in KINDS:
        for name in dict.fromkeys(row.name(kind) for row in rows):
            settings = [row.params[kind] for row in rows if row.name(kind) == name]
            # Untrained baselines have fewer training settings, which does not tell them apart.
            names = differing(settings, everywhere=kind != "training")
            parameters[kind, name] = [param for param in names if (kind, param) not in IN_AN_AXIS]
    return parameters


def assigned(params: Mapping[str, Any], names: Iterable[str]) -> str:
    """``temperature=0.1, width=2``: the named parameters as a user would write them."""
    return ", ".join(f"{name}={shown(params[name])}" for name in names if name in params)


def shown(value: Any) -> str:
    """A parameter's value as a user would write it."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def filter_records(records: Sequence[Record], conditions: Sequence[str]) -> list[Record]:
    """Records that meet all conditions; of several on one field, one suffices. A field is one of ``FIELDS`` or a
    parameter such as ``method.lr``; ``-`` asks for records without it. Raises UserError for every other condition, and
    for a value that no record has."""
    wanted: dict[str, list[str]] = {}
    kinds = [(kind, params_of(record, kind)) for record in records for kind in record.params] if conditions else []
    parameters = dict.fromkeys(f"{kind}.{name}" for kind, params in kinds for name in params)
    mistakes = []
    for condition in conditions:
        field, equals, value = (part.strip() for part in condition.partition("="))
        if not equals:
            mistakes.append(f"--where {quoted(condition)} is not FIELD=VALUE, such as method=simclr")
        elif field not in FIELDS and field not in parameters:
            hint = did_you_mean(field, [*FIELDS, *parameters])
            allowed = f"allowed: {', '.join(FIELDS)}, and parameters such as method.lr"
            mistakes.append(f"--where {quoted(condition)}: unknown field {quoted(field)}{hint} ({allowed})")
        elif value in wanted.setdefault(field, []):
            mistakes.append(f"--where {quoted(condition)} is given twice")
        else:
            wanted[field].append(value)
            mistakes += value_mistakes(records, condition, field, value)
    if mistakes:
        raise UserError(*mistakes)
    return [record for record in records if all(matches(record, field, texts) for field, texts in wanted.items())]


def value_mistakes(records: Sequence[Record], condition: str, field: str, text: str) -> list[str]:
    """A line where there are records and none has this value of a field."""
    allowed = [NOTHING, *(STATUSES if field == "status" else ())]
    if not records or text in allowed or any(matches(record, field, [text]) for record in records):
        return []
    known = sorted({shown(value) for value in (value_of(record, field) for record in records) if value is not None})
    values = ", ".join(known[:MOST_SHOWN]) + (f" and {len(known) - MOST_SHOWN} more" if len(known) > MOST_SHOWN else "")
    hint = did_you_mean(text, [*known, *allowed])
    return [f"--where {quoted(condition)}: no record has it{hint} ({field} is {values or NOTHING} in these results)"]


def value_of(record: Record, field: str) -> Any:
    """Of one of ``FIELDS``, or of a parameter such as ``method.lr``; None where the record has none."""
    kind, dot, name = field.partition(".")
    return params_of(record, kind).get(name) if dot else getattr(record, field)


def matches(record: Record, field: str, texts: Sequence[str]) -> bool:
    """Whether the value of one of ``FIELDS``, or of a parameter, is one of those as a user writes them: 0.75 is .75."""
    value = value_of(record, field)
    if value is None:
        return NOTHING in texts
    if isinstance(value, bool):
        return shown(value) in [text.lower() for text in texts]
    if isinstance(value, (int, float)):
        return value in [number(text) for text in texts]
    return shown(value) in texts


def number(text: str) -> float | None:
    """None for what is no number."""
    try:
        return float(text)
    except ValueError:
        return None
