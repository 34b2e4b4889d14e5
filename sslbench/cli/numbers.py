"""Numbers of the command line within limits, which help and errors say in words."""

from __future__ import annotations

from typing import Any

import click


def limits(least: float, most: float | None) -> str:
    """``10 or larger``, ``0 to 1``."""
    return f"{least:g} or larger" if most is None else f"{least:,g} to {most:,}"


class Whole(click.IntRange):
    """A whole number of at least ``least`` and, if given, at most ``most``."""

    name = "n"

    def __init__(self, least: int, most: int | None = None) -> None:
        super().__init__(least, most)
        self.words = limits(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Raises BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r}: expected a whole number, {self.words}", param, ctx)

    def _describe_range(self) -> str:
        return self.words


class Real(click.FloatRange):
    """A number from ``least`` to ``most``."""

    name = "x"

    def __init__(self, least: float, most: float) -> None:
        super().__init__(least, most)
        self.words = limits(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Raises BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r}: expected a number, {self.words}", param, ctx)

    def _describe_range(self) -> str:
        return self.words
