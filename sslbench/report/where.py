"""Which records are wanted: ``FIELD=VALUE``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sslbench.errors import UserError, did_you_mean
from sslbench.report.rows import Record, shown

FIELDS = (
    "cell",
    "status",
    "method",
    "augmentation",
    "masking",
    "mask_ratio",
    "evaluator",
    "dataset",
    "backbone",
    "seed",
)
NOTHING = "-"
"""How a table shows what a record does not have."""


def filter_records(records: Sequence[Record], conditions: Iterable[str]) -> list[Record]:
    """Records that meet all conditions; of several on one field, one suffices.

    A field is one of ``FIELDS``, or a parameter such as ``method.temperature``; ``masking=-`` asks for records
    without one. Raises UserError for an unknown field or a condition without ``=``.
    """
    conditions = list(conditions)
    if not conditions:
        return list(records)
    parameters = dict.fromkeys(
        f"{kind}.{name}"
        for record in records
        for kind, params in (record.get("params") or {}).items()
        for name in params or {}
    )
    wanted: dict[str, list[str]] = {}
    mistakes = []
    for condition in conditions:
        field, equals, value = (part.strip() for part in condition.partition("="))
        if not equals:
            mistakes.append(f"--where {condition!r} is not FIELD=VALUE, such as method=simclr")
        elif field not in FIELDS and field not in parameters:
            near = did_you_mean(field, [*FIELDS, *parameters])
            allowed = f"allowed: {', '.join(FIELDS)}, and parameters such as method.lr"
            mistakes.append(f"--where {condition!r}: unknown field {field!r}{near} ({allowed})")
        else:
            wanted.setdefault(field, []).append(value)
    if mistakes:
        raise UserError(*mistakes)
    return [r for r in records if all(matches(value_of(r, field), given) for field, given in wanted.items())]


def value_of(record: Record, field: str) -> Any:
    kind, dot, name = field.partition(".")
    if not dot:
        return record.get(field)
    return ((record.get("params") or {}).get(kind) or {}).get(name)


def matches(value: Any, given: Sequence[str]) -> bool:
    """Whether a value is one of those, as a user writes them: 0.75 is .75."""
    if value is None:
        return NOTHING in given
    if isinstance(value, bool):
        return shown(value) in [text.lower() for text in given]
    if isinstance(value, (int, float)):
        return any(value == number(text) for text in given)
    return shown(value) in given


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
