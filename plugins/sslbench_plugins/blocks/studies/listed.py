"""Parameters with several values: ``a+b+c`` on the command line, a list in JSON or TOML."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator


def separated(value: Any) -> Any:
    """``"a+b"`` -> ``["a", "b"]``; a single number -> a list of it; anything else as it is."""
    if isinstance(value, str):
        return [word.strip() for word in value.split("+") if word.strip()]
    return [value] if isinstance(value, (int, float)) else value


Several = BeforeValidator(separated)
"""annotates a tuple: ``Annotated[tuple[float, ...], Several]``"""


def not_empty(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """The value itself. Raises ValueError where it is empty."""
    if not value:
        raise ValueError("name at least one")
    return value


OneOrMore = AfterValidator(not_empty)
"""as the last annotation of a tuple; pydantic's min_length would complain of a wrong item as well as of no item"""
Words = Annotated[tuple[str, ...], Several]
"""names, or references such as ``simclr:strength=0.5``"""
