"""Which of several ways to the same result is the quickest on this CPU: measured once, and kept beside the ceilings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from sslbench.hooks.user_paths import user_cache
from sslbench.measure.ceilings import identity
from sslbench.measure.clocks import contended, undisturbed_clock
from sslbench.store.digests import DamagedFile, read_json, write_json
from sslbench.store.provenance import machine_facts

ROUNDS = 4
"""calls of each way that are timed, in turn, after one that is not"""
LEFT_OUT = 1.5
"""times the quickest first call: a way that takes longer is not called again"""
MARGIN = 0.97
"""share of the first way's time below which another one is taken instead"""

_chosen: dict[Path, str] = {}


@dataclass(frozen=True)
class Choice:
    """A measurement and what follows from it."""

    device: str
    """the processor's name"""
    threads: int
    torch: str
    task: str
    seconds: dict[str, float]
    """way -> the least of its calls"""
    way: str
    """the quickest"""
    measured: str
    """when: UTC, ISO 8601"""
    contended: bool
    """other programs took cores meanwhile"""


def quickest(task: str, ways: Sequence[str], prepare: Callable[[str], Callable[[], Any]]) -> str:
    """The one of ``ways`` that takes the least time on this CPU with torch's number of threads.

    ``task``: what is done, with the versions of what does it. ``ways``: names, the one to use where nothing is known
    first. ``prepare``: name -> a call of 10 to 50 ms, the same work for every way, of fixed shape; one that raises
    RuntimeError is left out.

    Measured once (a few hundred milliseconds) and kept in the user's cache, so that every later run on the machine
    takes the same way and rounds alike. What was measured beside other programs holds until it can be measured
    undisturbed. Where the cache cannot be written, nothing would hold and the first way is taken.
    """
    path = choice_path(task, ways)
    if path not in _chosen:
        _chosen[path] = chosen(path, task, ways, prepare)
    return _chosen[path]


def chosen(path: Path, task: str, ways: Sequence[str], prepare: Callable[[str], Callable[[], Any]]) -> str:
    """What ``path`` says; where it does not, or was measured beside other programs, measured and written."""
    if len(ways) == 1:
        return ways[0]
    known = read(path, ways)
    if known and not known.contended:
        return known.way
    measured = measure(task, ways, prepare)
    if known and measured.contended:
        return known.way
    try:
        write_json(path, asdict(measured), indent=1)
    except OSError:
        return known.way if known else ways[0]
    return measured.way


def machine() -> dict[str, Any]:
    """Device, threads and torch's version."""
    return identity("cpu", machine_facts()["processor"])


def choice_path(task: str, ways: Sequence[str]) -> Path:
    """``quickest-HASH.json`` in the user's cache, one a task, machine, number of threads and version of torch."""
    what = json.dumps([machine(), task, list(ways)], sort_keys=True).encode()
    return user_cache() / f"quickest-{hashlib.blake2b(what, digest_size=6).hexdigest()}.json"


def read(path: Path, ways: Sequence[str]) -> Choice | None:
    """None for a file that is not there, is damaged or names no way of ``ways``."""
    try:
        known = Choice(**read_json(path))
        return known if known.way in ways and isinstance(known.contended, bool) else None
    except (OSError, DamagedFile, TypeError):
        return None


def measure(task: str, ways: Sequence[str], prepare: Callable[[str], Callable[[], Any]]) -> Choice:
    """Measured now: the least of ``ROUNDS`` calls of each way, in turn."""
    least, busy = dict.fromkeys(ways, float("inf")), False
    calls = {}
    for way in ways:
        with suppress(RuntimeError):
            calls[way] = prepare(way)
            calls[way]()
    for _ in range(ROUNDS):
        for way, call in calls.items():
            taken, disturbed = timed(call)
            least[way], busy = min(least[way], taken), busy or disturbed
        limit = LEFT_OUT * min(least.values())
        calls = {way: call for way, call in calls.items() if least[way] <= limit}
    best = min(ways, key=lambda way: least[way])
    way = best if least[best] < MARGIN * least[ways[0]] else ways[0]
    seconds = {name: taken for name, taken in least.items() if taken < float("inf")}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Choice(**machine(), task=task, seconds=seconds, way=way, measured=now, contended=busy)


def timed(call: Callable[[], Any]) -> tuple[float, bool]:
    """Seconds of a call, without what other programs took, and whether they took much."""
    clock = undisturbed_clock(torch.device("cpu"))
    clock.start()
    call()
    clock.mark()
    laps = clock.stop()
    return laps.step_ms[0] / 1000, bool(contended(laps, torch.get_num_threads()))
