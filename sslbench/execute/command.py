"""The command line that asks for the same as a request."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from sslbench.execute.request import Request


def command_of(request: Request) -> str | None:
    """``sslbench run quick -m simclr``, in words of a shell, without what asks for a part or for everything again, or
    lets foreign code run; None where the suite has no name."""
    return shlex.join(["sslbench", "run", *words_of(request)]) if isinstance(request.suite, str) else None


def words_of(request: Request) -> Iterator[str]:
    """The suite and the options that differ from the defaults."""
    overrides = request.overrides
    yield str(request.suite)
    if request.size:
        yield from ("--size", request.size)
    for axis, references in overrides.axes.items():
        for reference in references:
            yield from (f"--{axis}", str(reference))
    if overrides.seeds is not None:
        yield from ("--seeds", ",".join(map(str, overrides.seeds)))
    for name, value in overrides.training.items():
        yield from ("--set", f"{name}={as_setting(value)}")
    if request.out is not None:
        yield from ("--out", str(request.out))
    if request.executor is not None:
        yield from ("--executor", request.executor)
    for observer in request.observers:
        yield from ("--observer", str(observer))
    if request.retries:
        yield from ("--retries", str(request.retries))
    for flag, given in (("--keep-stale", request.keep_stale), ("--download", request.download)):
        if given:
            yield flag


def as_setting(value: Any) -> str:
    """A value as ``--set`` takes it."""
    return value if isinstance(value, str) else json.dumps(value)
