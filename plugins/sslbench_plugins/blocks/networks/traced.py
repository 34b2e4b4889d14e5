"""Tensors that know which tensors of a file they were made of, through whatever is computed with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor


class Traced(Tensor):
    """A tensor and the names that its values come from."""

    sources: frozenset[str] = frozenset()

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        sources = frozenset[str]().union(*(tensor.sources for tensor in traced_in((args, kwargs))))
        for tensor in traced_in(result):
            tensor.sources |= sources
        return result


def traced_in(value: Any) -> Iterator[Traced]:
    """The traced tensors in nested containers."""
    if isinstance(value, Traced):
        yield value
    elif isinstance(value, Mapping):
        yield from traced_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from traced_in(item)


def traced(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, each knowing its name."""
    result: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        result[name] = tensor.detach().as_subclass(Traced)
        result[name].sources = frozenset([name])  # type: ignore[attr-defined]
    return result


def sources_of(tensor: Tensor, name: str) -> frozenset[str]:
    """The names that a tensor comes from; ``name`` where that was lost on the way."""
    return getattr(tensor, "sources", frozenset()) or frozenset([name])
