"""What a step leaves in Python's objects, which the replay of a CUDA graph leaves as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.optim import Optimizer

PLAIN = (bool, int, float, str, bytes, type(None))


def python_state(method: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """By name, the attributes of a method's modules, buffers included, and the optimizer's state: plain values, else
    the objects themselves, lists and dictionaries taken apart."""
    found: dict[str, Any] = {}
    for prefix, module in method.named_modules():
        for name, value in vars(module).items():
            if name != "_modules":
                found.update(entries(f"{prefix}.{name}".lstrip("."), value))
    for number, slots in enumerate(optimizer.state.values()):
        found.update(entries(f"optimizer.{number}", slots))
    return found


def entries(name: str, value: Any, depth: int = 4) -> Iterator[tuple[str, Any]]:
    """A value by its name, or what a container holds by place or key."""
    if depth and isinstance(value, dict):
        yield f"{name} (size)", len(value)
        for key, each in value.items():
            yield from entries(f"{name}.{key}", each, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        yield f"{name} (size)", len(value)
        for place, each in enumerate(value):
            yield from entries(f"{name}[{place}]", each, depth - 1)
    else:
        yield name, value


def first_changed(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """The name of the first that is another object now, or another plain value."""
    for name in [*before, *after]:
        if name not in before or name not in after:
            return name.removesuffix(" (size)")
        was, now = before[name], after[name]
        if was is not now and not (isinstance(was, PLAIN) and type(was) is type(now) and was == now):
            return name.removesuffix(" (size)")
    return None
