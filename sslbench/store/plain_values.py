"""Values that JSON can hold, made of those of other libraries; what is not a finite number is null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sslbench.errors import StoreError


def plain(value: Any, where: str) -> Any:
    """``value`` made of dict, list, str, bool, int, finite float and None alone."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}" if where else str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, int):
        return int(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist(), where)
    if hasattr(value, "__float__"):
        return float(value) if math.isfinite(value) else None
    raise StoreError(f"a record's {where} is a {type(value).__name__}, which JSON cannot hold")


def canonical(value: Mapping[str, Any]) -> str:
    """The text of plain values: keys sorted, no blanks, ASCII. Equal values have equal texts."""
    return json.dumps(plain(value, ""), sort_keys=True, separators=(",", ":"), allow_nan=False)
