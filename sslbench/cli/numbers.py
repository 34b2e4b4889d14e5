"""Numbers of the command line within limits, which help and errors say in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click


def limits(least: float, most: float | None) -> str:
    """``10 or larger``, ``0 to 1``."""
    return f"{least:g} or larger" if most is None else f"{least:,g} to {most:,}"


if TYPE_CHECKING:
    Type = click.ParamType[Any]
else:  # older versions of click take no type here
    Type = click.ParamType


class Limited(Type):
    """Before one of click's ranges among the bases of a class: what makes its help and its errors say the limits."""

    expected: str
    """what a value is"""
    words: str
    """the limits"""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Raises BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r}: expected {self.expected}, {self.words}", param, ctx)

    def _describe_range(self) -> str:
        return self.words


class Whole(Limited, click.IntRange):
    """A whole number of at least ``least`` and, if given, at most ``most``."""

    name, expected = "n", "a whole number"

    def __init__(self, least: int, most: int | None = None) -> None:
        super().__init__(least, most)
        self.words = limits(least, most)


class Real(Limited, click.FloatRange):
    """A number from ``least`` to ``most``."""

    name, expected = "x", "a number"

    def __init__(self, least: float, most: float) -> None:
        super().__init__(least, most)
        self.words = limits(least, most)
