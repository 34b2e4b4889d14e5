"""Time per step of a training as it goes on, without slowing it down."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from itertools import pairwise

import torch

from sslbench.measure.clocks import recorded_event

WARMUP_STEPS = 10
"""Steps left out at the start: allocator, kernel selection, caches. At most a fifth of all steps."""


@dataclass(frozen=True)
class StepTimes:
    """Speed of a training as the results have it. Times are wall clock; None where nothing was measured."""

    images_per_second: float | None = None
    """source images (not views) through steady steps, data wait included"""
    step_ms_median: float | None = None
    step_ms_iqr: float | None = None
    data_wait_share: float | None = None
    """share of the step spent waiting for the batch of source images: by the thread that trains on a CPU, by the GPU
    on CUDA"""

    @classmethod
    def of(cls, step_ms: list[float], wait_ms: list[float], batch_size: int) -> StepTimes:
        """Summary of raw samples, warm-up left out."""
        skip = min(WARMUP_STEPS, len(step_ms) // 5)
        steps, waits = step_ms[skip:], wait_ms[skip:]
        if not steps or sum(steps) <= 0:
            return cls()
        low, _, high = statistics.quantiles(steps, n=4, method="inclusive") if len(steps) > 1 else (0.0, 0.0, 0.0)
        return cls(
            images_per_second=1000 * batch_size * len(steps) / sum(steps),
            step_ms_median=statistics.median(steps),
            step_ms_iqr=high - low,
            data_wait_share=min(1.0, sum(waits) / sum(steps)),
        )


@dataclass
class StepClock:
    """Raw step times of one training. On CUDA events are recorded, and the times between them are read in ``drain()``,
    which is called rarely. The time between two drains is never a step.

    On CUDA a wait is how long the GPU was idle: from the end of its work on the step before until the batch is there.
    Where the host is late and the GPU still at work, nobody waits."""

    device: torch.device
    step_ms: list[float] = field(default_factory=list)
    wait_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begun = 0.0
        self._events: list[torch.cuda.Event] = []

    def begin(self) -> None:
        """Before the batch is fetched."""
        self._begun = time.perf_counter()
        if self.device.type == "cuda" and not self._events:
            self._events.append(recorded_event(self.device))

    def fetched(self) -> None:
        """When the batch is there, or on CUDA all that the GPU is given from now on comes after it."""
        if self.device.type == "cuda":
            self._events.append(recorded_event(self.device))
        else:
            self.wait_ms.append(1000 * (time.perf_counter() - self._begun))

    def end(self) -> None:
        """After the optimizer step."""
        if self.device.type == "cuda":
            self._events.append(recorded_event(self.device))
        else:
            self.step_ms.append(1000 * (time.perf_counter() - self._begun))

    def drain(self) -> None:
        """Read the events since the last drain; waits for the device."""
        steps = list(pairwise(self._events[::2]))
        if steps:
            steps[-1][1].synchronize()
            self.step_ms += [begin.elapsed_time(end) for begin, end in steps]
            fetched = zip(steps, self._events[1::2], strict=False)
            self.wait_ms += [begin.elapsed_time(there) for (begin, _), there in fetched]
        self._events = []

    def summary(self, batch_size: int) -> StepTimes:
        """Of all steps so far; waits for the device."""
        self.drain()
        return StepTimes.of(self.step_ms, self.wait_ms, batch_size)
