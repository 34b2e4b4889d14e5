"""Rows of tables as dataclasses, whose fields are the columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Key = TypeVar("Key")
Row = dict[str, Any]
TIE = 1e-12
"""difference of two values that is rounding"""


def as_rows(items: Iterable[DataclassInstance]) -> list[Row]:
    """One dict for each dataclass: field -> value, in the order of the fields."""
    return [asdict(item) for item in items]


def best_keys(values: Mapping[Key, float | None], best: Callable[[Iterable[float]], float]) -> list[Key]:
    """The keys whose value is the ``best`` one (``min`` or ``max``), ties included; None is never the best."""
    known = {key: value for key, value in values.items() if value is not None}
    if not known:
        return []
    wanted = best(known.values())
    return [key for key, value in known.items() if abs(value - wanted) <= TIE]
