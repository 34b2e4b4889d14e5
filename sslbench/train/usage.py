"""What a training takes beside its steps: time, peak memory, energy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sslbench.measure.energy import EnergyMeter
from sslbench.measure.memory import PeakMemory
from sslbench.train.ranks import ranks


class Usage:
    """Time, peak memory and energy of a training without those of its evaluations, on top of what an interrupted one
    took: ``seconds``, ``peak`` bytes, ``joules``, None where that is not known."""

    def __init__(
        self, device: torch.device, seconds: float = 0.0, peak: int | None = None, joules: float | None = 0.0
    ) -> None:
        self._device, self._earlier_peak, self._earlier_joules = device, peak or 0, joules
        self.seconds = seconds
        """when the clock was last read"""
        self._energy = EnergyMeter(device)
        self.start()

    def start(self) -> None:
        """The training begins or goes on."""
        self._began = time.perf_counter() - self.seconds
        self._memory = PeakMemory(self._device)
        self._energy.leave_out()

    def read_clock(self) -> float:
        """Seconds of training until now."""
        self.seconds = time.perf_counter() - self._began
        return self.seconds

    def peak(self) -> int | None:
        """Bytes, or None where the system does not report them."""
        now = self._memory.bytes()
        return None if now is None else max(now, self._earlier_peak)

    def joules(self) -> float | None:
        """Until now, or None for the reason ``why_no_energy``. To be called every few minutes at least."""
        now = self._energy.read()
        return None if now is None or self.why_no_energy is not None else now + (self._earlier_joules or 0.0)

    @property
    def why_no_energy(self) -> str | None:
        """Why the joules are not known; None where they are."""
        if ranks() > 1:
            return "not counted for a pretraining on several devices"
        if self._energy.why_not is None and self._earlier_joules is None:
            return "not known of the part before an interruption"
        return self._energy.why_not

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Neither time, memory nor energy of what is done within is the training's."""
        self._earlier_peak = self.peak() or 0
        self._energy.read()
        begin = time.perf_counter()
        yield
        self._began += time.perf_counter() - begin
        self._memory = PeakMemory(self._device)
        self._energy.leave_out()
