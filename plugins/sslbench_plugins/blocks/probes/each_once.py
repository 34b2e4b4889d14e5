"""Parameters with several values that must differ, such as the k of precision at k."""

from __future__ import annotations

from pydantic import AfterValidator


def each_once(name: str) -> AfterValidator:
    """Annotates a tuple whose values must differ; ``name`` is what the error calls one of them."""

    def check(values: tuple[float, ...]) -> tuple[float, ...]:
        """The values as they are."""
        if len(set(values)) < len(values):
            raise ValueError(f"name each {name} once")
        return values

    return AfterValidator(check)
