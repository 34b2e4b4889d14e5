"""Numbers as a person reads them: rounded to what they can bear, never cut."""

from __future__ import annotations

import math
from collections.abc import Iterable

NOTHING = "-"


def decimals(values: Iterable[float | None]) -> int:
    """How many decimals a column gets: three for shares, fewer for large numbers, more for small ones."""
    largest = max((abs(value) for value in values if value is not None and not math.isnan(value)), default=0.0)
    if largest == 0:
        return 3
    magnitude = math.floor(math.log10(largest))
    return min(3, max(0, 3 - magnitude)) if magnitude >= -1 else min(8, 2 - magnitude)


def fixed(value: float | None, places: int, leading_zero: bool = True) -> str:
    """``0.953``, or ``.953`` where room is scarce."""
    if value is None:
        return NOTHING
    text = f"{value:.{places}f}"
    return text if leading_zero or abs(value) >= 1 else text.replace("0.", ".", 1)


def three_digits(value: float | None) -> str:
    """Three significant digits without an exponent: ``0.0123``, ``12.3``, ``1234``, ``1.23M``."""
    if value is None or math.isnan(value):
        return NOTHING
    size = abs(value)
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e5, "k")):
        if size >= 0.9995 * scale:
            unit = 1e3 if letter == "k" else scale
            return f"{value / unit:#.3g}".rstrip(".") + letter
    if size == 0 or size >= 99.95:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".") if size >= 0.001 else f"{value:.2e}"


def median_and_iqr(median: float | None, iqr: float | None, gap: str) -> str:
    """``29.6 (1.2)``, both to the same decimals."""
    if median is None or math.isnan(median):
        return NOTHING
    places = max(0, 2 - math.floor(math.log10(median))) if median > 0 else 0
    spread = "" if iqr is None or math.isnan(iqr) else f"{gap}({iqr:.{places}f})"
    return f"{median:.{places}f}{spread}"


def percent(share: float | None) -> str:
    """A share in 0..1 as a percentage, without its sign."""
    if share is None or math.isnan(share):
        return NOTHING
    return f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"


def listed(numbers: Iterable[int]) -> str:
    """``0, 1, 4`` or ``0 to 9``."""
    numbers = sorted(numbers)
    if len(numbers) > 3 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))
