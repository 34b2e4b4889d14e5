"""How long trainings, and a run of several, will still take: only what was seen says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heapify, heapreplace

Clock = Callable[[], float]
"""seconds"""


class TrainingTime:
    """Of one pretraining that is under way."""

    def __init__(self, clock: Clock) -> None:
        """It begins now."""
        self._clock, self._begun = clock, clock()
        self._seen: tuple[int, float] | None = None
        """step and time when this training first reported"""
        self.left: float | None = None
        """seconds of training, None where nothing tells"""

    def step(self, step: int, total: int) -> None:
        """The training has done ``step`` of ``total`` steps, maybe some of them in an earlier run."""
        now = self._clock()
        first, since = self._seen = self._seen or (step, now)
        self.left = (now - since) / (step - first) * (total - step) if step > first else None

    def trained(self) -> None:
        """The training is over; something else goes on, such as evaluators."""
        self._seen = self.left = None

    @property
    def took(self) -> float:
        """Seconds until now."""
        return self._clock() - self._begun


class TimeLeft:
    """Seconds that are left, or None where nothing tells. The whole is never less than a training that runs now, and
    nothing is claimed of it before one pretraining has ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting = 0
        """pretrainings that have not begun"""
        self._running: list[TrainingTime] = []
        self._slots = 1
        """pretrainings that ran at once, at most"""
        self._ended: list[float] = []
        """seconds of each pretraining that has ended"""

    def begin(self, waiting: int) -> TrainingTime:
        """A pretraining begins; so many come after it."""
        self._running.append(TrainingTime(self._clock))
        self._waiting, self._slots = waiting, max(self._slots, len(self._running))
        return self._running[-1]

    def end(self, time: TrainingTime) -> None:
        """This pretraining has ended."""
        self._running.remove(time)
        self._ended.append(time.took)

    @property
    def suite(self) -> float | None:
        """Of all pretrainings, if they take as long as those that have ended and as many go on at once."""
        if not self._ended:
            return None
        usual = sum(self._ended) / len(self._ended)
        slots = [max(usual - time.took, time.left or 0.0, 0.0) for time in self._running]
        slots += [0.0] * (self._slots - len(slots))
        heapify(slots)
        for _ in range(self._waiting):
            heapreplace(slots, slots[0] + usual)  # it goes to the slot that is free first
        return max(slots)


def duration(seconds: float) -> str:
    """``8 s``, ``12 min``, ``3 h 5 min``."""
    if seconds < 60:
        return f"{max(0.0, seconds):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def in_digits(seconds: float | None) -> str:
    """``0:08``, ``3:05:00``, or ``--:--`` for None."""
    if seconds is None:
        return "--:--"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
