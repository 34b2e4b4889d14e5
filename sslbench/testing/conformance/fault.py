"""Faults: what a plugin does beside what its contract says, with the file and line that are at fault."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sslbench.contracts.plugin import Spec

NOT_THEIRS = Path(__file__).parents[2], Path(torch.__file__).parent
"""folders whose code is never a plugin's"""
NUMBERS = re.compile(r"-?\d[\d.,]*(e[+-]?\d+)?")


@dataclass(frozen=True)
class Place:
    """Where a fault is in the code of a plugin."""

    file: str
    line: int
    name: str = ""
    """of the function, method or class"""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Fault:
    """One way in which a plugin breaks its contract."""

    text: str
    """what was seen"""
    promise: str = ""
    """what the contract says"""
    place: Place | None = None
    setting: str = ""
    """the parameters that it was seen with, empty for the defaults"""
    refused: bool = False
    """whether it is a UserError of the plugin: what a user could mend"""

    @property
    def key(self) -> str:
        """Equal for what is the same fault with other parameters."""
        return NUMBERS.sub("#", self.text)


def place_of(thing: Any) -> Place | None:
    """Where a function, method, property or class is defined; None where that is not known, or not a plugin's code."""
    while isinstance(thing, (functools.partial, property, functools.cached_property, classmethod, staticmethod)):
        inner = ("fget", "func", "__func__")
        thing = next(getattr(thing, name) for name in inner if hasattr(thing, name))
    try:
        thing = inspect.unwrap(thing)
        file = inspect.getsourcefile(thing)
        line = thing.__code__.co_firstlineno if hasattr(thing, "__code__") else inspect.getsourcelines(thing)[1]
    except (TypeError, OSError, ValueError):
        return None
    return Place(file, line, thing.__qualname__.rpartition("<locals>.")[2]) if file and is_theirs(file) else None


def is_theirs(file: str) -> bool:
    """Whether the code of a file may be a plugin's."""
    return not any(Path(file).is_relative_to(folder) for folder in NOT_THEIRS) and not file.startswith("<")


def place_in(built: Any, part: str) -> Place | None:
    """Where a method of what was built is defined; its class where it inherits that from us."""
    kind = type(built)
    found = inspect.getattr_static(kind, part, None) if part else None
    return (place_of(found) if found is not None else None) or place_of(kind)


def home_of(spec: Spec) -> Path | None:
    """The folder, or the file, that the code of a plugin is in."""
    module = sys.modules.get(getattr(spec.build, "__module__", "") or "")
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return None
    top = sys.modules.get(module.__name__.partition(".")[0])
    inside = "." in module.__name__ and hasattr(top, "__path__")
    return Path(next(iter(top.__path__))) if inside and top is not None else Path(file)


def raised_at(error: BaseException, home: Path | None) -> Place | None:
    """The innermost line of a plugin's own code that an error came through; of code that may be, where none is."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_theirs(frame.filename)]
    own = [frame for frame in frames if home is not None and Path(frame.filename).is_relative_to(home)]
    last = (own or [frame for frame in frames if "site-packages" not in frame.filename])[-1:]
    return Place(last[0].filename, last[0].lineno or 0, last[0].name) if last else None
