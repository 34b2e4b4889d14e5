"""Steps and clocks whose time is made up, so that a test knows what must be measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, pairwise

import torch
from torch import Tensor

from sslbench.measure.clocks import EventClock, HostClock, Laps


@dataclass
class FakeClock(HostClock):
    """Stands still but for what steps add to ``now``."""

    now: float = 0.0
    """milliseconds"""
    marks: list[float] = field(default_factory=list)
    cpu_share: float = 1.0
    """CPU time of the process as a share of the wall clock"""

    def now_ms(self) -> float:
        """``now``."""
        return self.now

    def start(self) -> None:
        """Before the first step."""
        self.marks = [self.now]

    def mark(self) -> None:
        """After a step."""
        self.marks.append(self.now)

    def stop(self) -> Laps:
        """Times of the steps since ``start``."""
        steps = tuple(b - a for a, b in pairwise(self.marks))
        return Laps(steps, sum(steps), tuple(self.cpu_share * ms for ms in steps))


@dataclass(frozen=True)
class FakeEvent:
    """A moment on a fake device, in place of ``torch.cuda.Event``."""

    at: float
    """milliseconds"""

    def elapsed_time(self, later: FakeEvent) -> float:
        """Milliseconds until ``later``."""
        return later.at - self.at


@dataclass
class FakeDevice:
    """A GPU with queues of its own: ``launch`` costs the host next to nothing, and events mark the default stream."""

    host: float = 0.0
    """milliseconds"""
    streams: dict[str, float] = field(default_factory=dict)
    """when each will have done what was put on it, milliseconds"""

    def launch(self, ms: float, stream: str = "default", host_ms: float = 0.01) -> None:
        """Queue work of ``ms`` milliseconds on a stream; the host needs ``host_ms`` for it."""
        self.host += host_ms
        self.streams[stream] = max(self.host, self.streams.get(stream, 0.0)) + ms

    def record(self) -> FakeEvent:
        """An event on the default stream."""
        return FakeEvent(max(self.host, self.streams.get("default", 0.0)))

    def synchronise(self) -> None:
        """The host waits for all streams."""
        self.host = max(self.host, *self.streams.values(), 0.0)

    def clock(self) -> EventClock:
        """The clock of a GPU, on this device."""
        return EventClock(torch.device("cuda"), self.record, self.synchronise, lambda: self.host / 1000)


def fake_training(clock: FakeClock, step_ms: Callable[[int], float]) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """A training step that takes ``step_ms`` of its number, from 0, on a fake clock; and its parameters."""
    weight, numbers = torch.zeros(3), count()

    def step() -> Tensor:
        clock.now += step_ms(next(numbers))
        weight.add_(0.5)
        return torch.ones(())

    return step, [weight]
