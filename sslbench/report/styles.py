"""How much room a table takes, and how values of note are marked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """How much room the table takes."""

    gap: int = 2
    """blanks between columns"""
    broken_headers: bool = False
    """a header that is longer than its cells has two lines"""
    plus_minus: str = " ± "
    leading_zero: bool = True
    join_masking: bool = False
    """the masking beside the method, in one column"""
    wrap: int = 0
    """width at which the words on the left are broken; 0: never"""


@dataclass(frozen=True)
class Marks:
    """How values of note are shown."""

    best: Callable[[str], str]
    tie: Callable[[str], str]


STYLES = (
    Style(),
    Style(2, True),
    Style(2, True, "±"),
    Style(1, True, "±"),
    Style(1, True, "±", leading_zero=False),
    Style(1, True, "±", leading_zero=False, join_masking=True),
    Style(1, True, "±", leading_zero=False, join_masking=True, wrap=13),
)
"""From roomy to tight."""
