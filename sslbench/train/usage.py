"""Time and memory that a training takes, without those of the evaluations in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sslbench.measure.memory import PeakMemory


class Usage:
    """Seconds and peak memory of one training; an interrupted one continues from what its checkpoint kept."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds = 0.0
        """when the clock was last read"""
        self._began = 0.0
        self._peak_before = 0
        self._memory: PeakMemory | None = None

    def continue_from(self, seconds: float, peak: int | None) -> None:
        """Before ``start``: what an interrupted training took, peak in bytes."""
        self.seconds, self._peak_before = seconds, peak or 0

    def start(self) -> None:
        """The training begins or goes on."""
        self._began = time.perf_counter() - self.seconds
        self._memory = PeakMemory(self._device)

    def read_clock(self) -> float:
        """Seconds of training until now."""
        self.seconds = time.perf_counter() - self._began
        return self.seconds

    def peak(self) -> int | None:
        """Bytes, or None where nobody knows."""
        now = self._memory.bytes() if self._memory else None
        return None if now is None else max(now, self._peak_before)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Neither the time nor the memory of what is done within is the training's."""
        self._peak_before = self.peak() or 0
        begin = time.perf_counter()
        yield
        self._began += time.perf_counter() - begin
        self._memory = PeakMemory(self._device)
