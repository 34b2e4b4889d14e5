"""What a plugin may not change for the whole process while it is built and while it works."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

import torch

from sslbench.hooks.import_state import Part, parts

TORCH, ENVIRONMENT = "torch's random state", "the environment"


@contextmanager
def unchanged(torch_draws: bool) -> Iterator[list[str]]:
    """Put back what changes while it is open. The list names it afterwards. ``torch_draws``: whether torch's global
    generator may be drawn from."""
    watched = [part for part in (*parts(), *more_parts()) if not (torch_draws and part.name == TORCH)]
    before = {part.name: part.get() for part in watched}
    changed: list[str] = []
    try:
        yield changed
    finally:
        for part in (*parts(), *more_parts()):
            if part.name not in before and (part.initial is None or part.name == TORCH):
                continue
            was, now = before.get(part.name, part.initial), part.get()
            if not part.same(was, now):
                part.put(was)
                changed.append(part.name)


class EndsTheProcess(BaseException):
    """Raised in the place of what would end a check without a word."""


@contextmanager
def process_stays() -> Iterator[None]:
    """``os._exit`` raises EndsTheProcess; processes that are forked from this one end as ever."""
    own, end = os.getpid(), os._exit

    def refuse(status: int) -> NoReturn:
        if os.getpid() != own:
            end(status)
        raise EndsTheProcess(f"os._exit({status}) ends the whole process")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = end


def more_parts() -> Iterator[Part]:
    """Beside what may not change when a plugin is imported: the environment, the path, precision, logging."""
    yield Part(ENVIRONMENT, lambda: dict(os.environ), put_environment)
    yield Part("sys.path", lambda: list(sys.path), lambda was: sys.path.__setitem__(slice(None), was))
    yield Part("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit)
    yield Part("the level of all logging", lambda: logging.root.manager.disable, logging.disable)
    yield Part("the root logger", lambda: (logging.root.level, list(logging.root.handlers)), put_root_logger)
    precision = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    yield Part("torch's precision of products", *precision)
    anomaly = torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly
    yield Part("torch's detection of anomalies", *anomaly)
    for name in ("benchmark", "deterministic", "enabled"):
        get, put = (partial(function, torch.backends.cudnn, name) for function in (getattr, setattr))
        yield Part(f"torch.backends.cudnn.{name}", get, put)


def put_environment(was: dict[str, str]) -> None:
    """Exactly these variables."""
    os.environ.clear()
    os.environ.update(was)


def put_root_logger(was: tuple[int, list[logging.Handler]]) -> None:
    """Its level and handlers."""
    logging.root.setLevel(was[0])
    logging.root.handlers[:] = was[1]
