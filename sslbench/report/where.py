"""Which records are wanted: ``FIELD=VALUE``."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench.errors import UserError, did_you_mean
from sslbench.report.numbers import NOTHING
from sslbench.report.rows import shown
from sslbench.store.record import Record

FIELDS = "cell status method augmentation masking mask_ratio evaluator dataset backbone seed".split()


def filter_records(records: Sequence[Record], conditions: Sequence[str]) -> list[Record]:
    """Records that meet all conditions; of several on one field, one suffices. A field is one of ``FIELDS`` or a
    parameter such as ``method.lr``; ``-`` asks for records without it. Raises UserError for every other condition."""
    wanted: dict[str, list[str]] = {}
    kinds = [item for record in records for item in record.params.items()] if conditions else []
    parameters = dict.fromkeys(f"{kind}.{name}" for kind, params in kinds for name in params)
    mistakes = []
    for condition in conditions:
        field, equals, value = (part.strip() for part in condition.partition("="))
        if not equals:
            mistakes.append(f"--where {condition!r} is not FIELD=VALUE, such as method=simclr")
        elif field not in FIELDS and field not in parameters:
            hint = did_you_mean(field, [*FIELDS, *parameters])
            allowed = f"allowed: {', '.join(FIELDS)}, and parameters such as method.lr"
            mistakes.append(f"--where {condition!r}: unknown field {field!r}{hint} ({allowed})")
        else:
            wanted.setdefault(field, []).append(value)
    if mistakes:
        raise UserError(*mistakes)
    return [record for record in records if all(matches(record, field, texts) for field, texts in wanted.items())]


def matches(record: Record, field: str, texts: Sequence[str]) -> bool:
    """Whether the value of one of ``FIELDS``, or of a parameter, is one of those as a user writes them: 0.75 is .75."""
    kind, dot, name = field.partition(".")
    value = record.params.get(kind, {}).get(name) if dot else getattr(record, field)
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
