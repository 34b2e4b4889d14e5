"""Parameters with several values: ``a+b+c`` on the command line, a list in JSON or TOML."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Strict

NUMBER = re.compile(r"-?(0|[1-9]\d{,17}|(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?)", re.ASCII)


def separated(value: Any) -> Any:
    """``"a+b"`` -> ``["a", "b"]``; a single number -> a list of it; anything else as it is."""
    if isinstance(value, str):
        return [word.strip() for word in value.split("+") if word.strip()]
    return [value] if isinstance(value, (int, float)) else value


def numbers(value: Any) -> Any:
    """``"2+13"`` -> ``[2, 13]``; anything else as ``separated`` has it. Raises ValueError for what is no number."""
    words = separated(value)
    if isinstance(value, str):
        if not all(map(NUMBER.fullmatch, words)):
            raise ValueError("expected numbers, a+b+c")
        return [int(word) if word.lstrip("-").isdigit() else float(word) for word in words]
    return words


Several = BeforeValidator(numbers)
"""annotates a tuple: ``Annotated[tuple[Annotated[float, Strict()], ...], Several]``"""


def not_empty(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """The value itself. Raises ValueError where it is empty."""
    if not value:
        raise ValueError("name at least one")
    return value


OneOrMore = AfterValidator(not_empty)
"""as the last annotation of a tuple; pydantic's min_length would complain of a wrong item as well as of no item"""
Words = Annotated[tuple[Annotated[str, Strict()], ...], BeforeValidator(separated)]
"""names, or references such as ``simclr:strength=0.5``"""
