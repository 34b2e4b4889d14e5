"""Pools whose workers are small scripts that speak the protocol, without torch."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sslbench import Ended, Printed
from sslbench_plugins.executors.workers.places import Place
from sslbench_plugins.executors.workers.pool import Workers

CHILD = r"""
import json, os, signal, subprocess, sys, time

def say(**event):
    print(json.dumps(event), flush=True)

def stage(text):
    say(kind="StageStarted", text=text)

def end(**failure):
    os.write(2, b"\x1eend of work\n")
    say(kind="Ended", key=work["key"], failure=failure or None)

for line in sys.stdin:
    work = json.loads(line)
    print("begin", flush=True)
    exec(work["out"])
    end()
"""
"""does what the ``out`` of its work says"""


class Events:
    """What was emitted of one piece of work."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(self, event: Any) -> None:
        self.all.append(event)
        self._queue.put(event)

    def next(self, kind: type | None = None) -> Any:
        """Wait for the next event (of a kind)."""
        while not isinstance(event := self._queue.get(timeout=60), kind or object):
            pass
        return event

    @property
    def failure(self) -> Any:
        """Wait for the end; why it failed."""
        return self.next(Ended).failure

    @property
    def printed(self) -> list[str]:
        return [event.text for event in self.all if isinstance(event, Printed)]


@pytest.fixture
def pool() -> Iterator[Callable[..., Workers]]:
    """Make a pool of scripts; all are closed in the end."""
    pools = []

    def make(slots: int = 1, child: str = CHILD, places: Any = None, **more: Any) -> Workers:
        arguments = [sys.executable, "-I", "-S", "-c", child]
        pools.append(Workers(places or [Place("cpu")] * slots, arguments=lambda: arguments, **more))
        return pools[-1]

    yield make
    for each in pools:
        each.close()


@pytest.fixture
def submit(small_work: Callable[..., Any]) -> Callable[..., tuple[Any, Events]]:
    """Submit work that makes a script's worker do something; returns the handle and the events."""

    def send(pool: Workers, do: str = "", key: str = "k0", **more: Any) -> tuple[Any, Events]:
        events = Events()
        work = replace(small_work(Path(), key=key, **more), out=do)
        return pool.submit(work, events), events

    return send
