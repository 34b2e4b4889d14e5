"""What importing a plugin may not change for everybody else in the process: it is put back, and named."""

from __future__ import annotations

import builtins
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

Filter = tuple[Any, ...]
"""(action, message, category, module, line number) as ``warnings`` has them"""


@dataclass(frozen=True)
class Part:
    """One thing that the whole process shares."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object]
    initial: Any = None
    """what it is where its library is imported with the plugin; None: not known, so that it is left as it is"""
    same: Callable[[Any, Any], bool] = lambda before, after: bool(before == after)


@contextmanager
def put_back(*, random_states: bool = True) -> Iterator[list[str]]:
    """Put back what changes while it is open. The list names it afterwards, whether or not anything was raised.
    ``random_states`` False: but for those, which whoever works next seeds."""
    before = {part.name: part.get() for part in parts()}
    changed: list[str] = []
    try:
        yield changed
    finally:
        for part in parts():
            if part.name.endswith("random state") and not random_states:
                continue
            was, now = before.get(part.name, part.initial), part.get()
            if was is not None and not part.same(was, now):
                part.put(was)
                changed.append(part.name)


def parts() -> list[Part]:
    """Of Python and of the libraries that are imported by now; none is imported for it."""
    return [*of_python(), *of_numpy(), *of_torch()]


def of_python() -> Iterator[Part]:
    """Signal handlers, filters of warnings, Python's generator, the folder, the streams."""
    yield Part("signal handlers", handlers, set_handlers)
    yield Part("filters of warnings", lambda: list(warnings.filters), set_filters, same=filters_serve)
    yield Part("Python's random state", random.getstate, random.setstate)
    yield Part("the current folder", current_folder, os.chdir)
    for name in ("stdin", "stdout", "stderr", "excepthook"):
        yield Part(f"sys.{name}", partial(getattr, sys, name), partial(setattr, sys, name))


def of_numpy() -> Iterator[Part]:
    """NumPy's global generator and what it does about floating-point errors."""
    numpy: Any = sys.modules.get("numpy")
    if hasattr(numpy, "geterr"):
        yield Part("NumPy's random state", numpy.random.get_state, numpy.random.set_state, same=same_state)
        initial = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
        yield Part("numpy.seterr", numpy.geterr, lambda was: numpy.seterr(**was), initial)


def of_torch() -> Iterator[Part]:
    """torch's generator, defaults and modes."""
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "get_default_dtype"):
        return
    yield Part("torch's random state", torch.random.get_rng_state, torch.random.set_rng_state, same=torch.equal)
    yield Part("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype, torch.float32)
    device = torch.device("cpu")
    yield Part("torch's default device", torch.get_default_device, torch.set_default_device, device)
    yield Part("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled, True)
    yield Part("torch's number of threads", torch.get_num_threads, torch.set_num_threads)
    deterministic = torch.use_deterministic_algorithms
    yield Part("deterministic algorithms", torch.are_deterministic_algorithms_enabled, deterministic, False)


def same_state(was: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    """Whether two states of NumPy's generator, each with an array in it, are equal."""
    return all(a.tobytes() == b.tobytes() if hasattr(a, "tobytes") else a == b for a, b in zip(was, now, strict=True))


def handlers() -> dict[int, Any]:
    """Number of a signal -> its handler, of those that Python can set again."""
    found = {int(number): signal.getsignal(number) for number in signal.valid_signals()}
    return {number: handler for number, handler in found.items() if handler is not None}


def set_handlers(was: dict[int, Any]) -> None:
    """Set those that differ. Outside the main thread there are none."""
    now = handlers()
    for number, handler in was.items():
        if now.get(number) != handler:
            with suppress(ValueError, OSError):
                signal.signal(number, handler)


def current_folder() -> str | None:
    """None where it was removed."""
    with suppress(OSError):
        return os.getcwd()
    return None


def is_broad(item: Filter) -> bool:
    """Whether a filter is about everybody's warnings: of any text and module, of one of Python's own categories."""
    _, message, category, module, _ = item
    return message is None and module is None and category.__module__ == builtins.__name__


def filters_serve(was: list[Filter], now: list[Filter]) -> bool:
    """Whether all of ``was`` are left and the broad ones are the same, in order: libraries that a plugin imports add
    filters for their own warnings."""
    return all(item in now for item in was) and list(filter(is_broad, was)) == list(filter(is_broad, now))


def set_filters(was: list[Filter]) -> None:
    """Set them again; what was added for the warnings of one library stays before them."""
    added = [item for item in warnings.filters if item not in was and not is_broad(item)]
    warnings.filters[:] = [*added, *was]  # type: ignore[index]
    with warnings.catch_warnings():  # whose end makes Python forget what it decided by the filters in between
        pass
