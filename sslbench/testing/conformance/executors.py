"""Executors: work comes back as records, then ``Ended``, once; also work whose plugins are nowhere to be found."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

from sslbench.contracts.executor import (
    Ended,
    Evaluation,
    Event,
    Executor,
    ExecutorSpec,
    Handle,
    PluginChoice,
    TrainingSettings,
    Work,
)
from sslbench.contracts.plugin import BuildContext
from sslbench.execute.events import RecordMade
from sslbench.testing.conformance.problem import Problems

PATIENCE = 120.0
"""seconds that work without a plugin may take, workers' start included"""
NOBODYS = PluginChoice("nobody-has-a-plugin-of-this-name")


def of_executor(spec: ExecutorSpec, params: Any, patience: float = PATIENCE) -> Problems:
    """Slots and devices, and what comes of two pieces of work, each of two cells that fail at once."""
    executor = spec.build(params, BuildContext())
    if not isinstance(executor, Executor):
        yield "build must return an object with slots, devices, submit and close"
        return
    if executor.slots < 1 or not executor.devices():
        yield "it offers no slot or no device"
    with TemporaryDirectory() as out:
        try:
            for number in range(2):
                yield from work_problems(executor, nobodys_work(f"work-{number}", out), patience)
        finally:
            executor.close()


def nobodys_work(key: str, out: str) -> Work:
    """Work that any process can do, since it fails where its plugins are looked up."""
    settings = TrainingSettings(device="cpu", precision="fp32")
    cells = tuple(Evaluation(f"{key}-{name}", NOBODYS) for name in "ab")
    return Work(key, {"method": NOBODYS, "dataset": NOBODYS}, 0, settings, None, cells, out)


def work_problems(executor: Executor, work: Work, patience: float) -> Problems:
    """What is wrong with the events of one piece of work."""
    events: list[Event] = []
    ended = threading.Event()

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, Ended):
            ended.set()

    handle = executor.submit(replace(work), emit)
    if not isinstance(handle, Handle):
        yield f"submit must return a handle with cancel(), not {type(handle).__name__}"
    if not ended.wait(patience):
        yield f"no Ended came within {patience:g} s of submit"
        return
    if isinstance(handle, Handle):
        handle.cancel()  # of work that has ended: nothing more may come of it
    ends = [event for event in events if isinstance(event, Ended)]
    if [event.key for event in ends] != [work.key]:
        yield f"Ended must come once for each submit, with the key of its work; it came for {[e.key for e in ends]}"
    if ends[0].failure is not None:
        yield f"work whose plugins are not found ended with a failure: {ends[0].failure.reason}"
    cells = Counter(event.record.cell for event in events if isinstance(event, RecordMade))
    expected = Counter(evaluation.cell for evaluation in work.evaluations)
    if cells != expected:
        yield f"records came for {dict(cells)}, not once for each of {sorted(expected)}"
    if not isinstance(events[-1], Ended):
        yield "Ended must be the last event"
