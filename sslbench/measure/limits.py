"""``QUANTITY:PERCENT``: how much worse a quantity may become before a gate turns red."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sslbench.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Limit:
    """How much worse one quantity may become."""

    quantity: str
    percent: float
    """of the value before"""

    def __str__(self) -> str:
        return f"{self.quantity}:{self.percent:g}%"


def read_limits(option: str, texts: Iterable[str], allowed: Iterable[str]) -> list[Limit]:
    """The limits behind an option's values, the percent sign optional. Raises UserError, one line per mistake."""
    allowed, limits, mistakes = list(allowed), [], []
    for text in texts:
        name, colon, number = (part.strip() for part in text.rpartition(":"))
        percent = as_percent(number)
        if not name or not colon or percent is None:
            form = "QUANTITY:PERCENT with a percentage of 0 or more, such as images_per_second:5%"
            mistakes.append(f"{option} {text!r} is not {form}")
        elif name not in allowed:
            hint = did_you_mean(name, allowed)
            mistakes.append(f"{option} {text!r}: unknown quantity {name!r}{hint} (allowed: {', '.join(allowed)})")
        else:
            limits.append(Limit(name, percent))
    if mistakes:
        raise UserError(*mistakes)
    return limits


def as_percent(text: str) -> float | None:
    """``5%``, ``5`` and ``0.5%``; None for anything that is not a number of 0 or more."""
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        return None
    return percent if 0 <= percent < float("inf") else None
