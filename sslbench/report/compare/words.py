"""Values, changes and intervals of a comparison in words."""

from __future__ import annotations

from sslbench.report.numbers import three_digits
from sslbench.statistics.intervals import Interval

RATE = "images/s"
"""the unit of what is more the less time it takes"""


def in_unit(value: float, unit: str) -> str:
    """``4321 images/s``, ``512 MB``, ``0.953``."""
    if unit in ("bytes", "FLOP"):
        return f"{three_digits(value / 1e6)} M{'B' if unit == 'bytes' else unit}"
    if unit in (RATE, "ms"):
        return f"{three_digits(value)} {unit}"
    text = f"{value:.4g}" if abs(value) < 1000 else three_digits(value)
    return f"{text} {unit}" if unit else text


def percents(interval: Interval) -> str:
    """``-3.1 to +0.2%``."""
    return f"{signed(100 * interval.low)} to {signed(100 * interval.high)}%"


def signed(number: float) -> str:
    """``+0.2``; what rounds to nothing has no sign of its own."""
    return f"{number:+.1f}".replace("-0.0", "+0.0") if abs(number) < 1 else f"{number:+.1f}"
