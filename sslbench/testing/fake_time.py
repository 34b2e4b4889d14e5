"""Steps and clocks whose time is made up, so that what is measured can be foretold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from sslbench.measure.clocks import EventClock, Laps


@dataclass
class FakeClock:
    """A host clock that stands still but for what steps add to ``now``, milliseconds."""

    now: float = 0.0
    marks: list[float] = field(default_factory=list)
    cpu_share: float = 1.0
    """CPU time of the process as a share of the wall clock"""

    def now_ms(self) -> float:
        return self.now

    def wait(self) -> None: ...

    def start(self) -> None:
        self.marks = [self.now]

    def mark(self) -> None:
        self.marks.append(self.now)

    def stop(self) -> Laps:
        steps = tuple(b - a for a, b in pairwise(self.marks))
        return Laps(steps, sum(steps), tuple(self.cpu_share * ms for ms in steps))


@dataclass(frozen=True)
class FakeEvent:
    at: float

    def elapsed_time(self, later: FakeEvent) -> float:
        return later.at - self.at


@dataclass
class FakeDevice:
    """A GPU with queues of its own: ``launch`` costs the host next to nothing, and events see one stream alone."""

    host: float = 0.0
    """milliseconds"""
    streams: dict[str, float] = field(default_factory=dict)
    """when each will have done what was put on it"""

    def launch(self, ms: float, stream: str = "default", host_ms: float = 0.01) -> None:
        self.host += host_ms
        self.streams[stream] = max(self.host, self.streams.get(stream, 0.0)) + ms

    def record(self) -> FakeEvent:
        return FakeEvent(max(self.host, self.streams.get("default", 0.0)))

    def synchronise(self) -> None:
        self.host = max(self.host, *self.streams.values(), 0.0)

    def clock(self) -> EventClock:
        return EventClock(torch.device("cuda"), self.record, self.synchronise, lambda: self.host / 1000)


def fake_training(clock: FakeClock, step_ms: Callable[[int], float]) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """A training step that takes ``step_ms`` of its number, from 0, on a fake clock; and its parameters."""
    weight = torch.zeros(3)
    calls: list[None] = []

    def step() -> Tensor:
        clock.now += step_ms(len(calls))
        calls.append(None)
        weight.add_(0.5)
        return torch.ones(())

    return step, [weight]
