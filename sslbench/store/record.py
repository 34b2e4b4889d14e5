"""A record as it is stored: canonical JSON, in which what could not be measured is null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sslbench.errors import StoreError


def clean(record: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that JSON can hold: NaN and infinities are null, and a metric says why.

    Numbers and arrays of other libraries become plain ones. Raises StoreError for anything
    that is no JSON value.
    """
    copy = {str(name): plain(value, str(name)) for name, value in record.items()}
    for name, given in (record.get("metrics") or {}).items():
        metric = copy["metrics"][str(name)]
        if metric.get("value") is None and given.get("value") is not None:
            metric["reason"] = metric.get("reason") or f"not a finite number ({float(given['value'])})"
    return copy


def plain(value: Any, where: str) -> Any:
    """``value`` made of dict, list, str, bool, int, finite float and None alone."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{place}]") for place, item in enumerate(value)]
    if isinstance(value, int):
        return int(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist(), where)
    if hasattr(value, "__float__"):
        return float(value) if math.isfinite(value) else None
    raise StoreError(f"a record's {where} is a {type(value).__name__}, which JSON cannot hold")


def canonical(record: Mapping[str, Any]) -> str:
    """The record's text: keys sorted, no blanks, ASCII. Equal records have equal texts."""
    return json.dumps(clean(record), sort_keys=True, separators=(",", ":"), allow_nan=False)
