"""How long a training, and a run of several, will still take: only what was seen says so."""

from __future__ import annotations

import math
from collections.abc import Callable

Clock = Callable[[], float]
"""seconds"""


class TimeLeft:
    """Seconds that are left, or None where nothing tells. The whole is never less than the training that runs now, and
    nothing is claimed of it before one pretraining has ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting = 0
        """pretrainings that have not begun"""
        self._ended: list[float] = []
        """seconds of each pretraining that has ended"""
        self._seen: tuple[int, float] | None = None
        """step and time when this training first reported"""
        self._begun, self._running = clock(), False
        self.took = 0.0
        """seconds of the pretraining that ended last"""
        self.training: float | None = None

    def begin(self, waiting: int) -> None:
        """A pretraining begins; so many come after it."""
        self._begun, self._running, self._waiting = self._clock(), True, waiting
        self._seen = self.training = None

    def step(self, step: int, total: int) -> None:
        """The training has done ``step`` of ``total`` steps, maybe some of them in an earlier run."""
        now = self._clock()
        first, since = self._seen = self._seen or (step, now)
        self.training = (now - since) / (step - first) * (total - step) if step > first else None

    def trained(self) -> None:
        """The training is over; something else goes on, such as evaluators."""
        self._seen = self.training = None

    def end(self) -> None:
        """The pretraining has ended."""
        self.trained()
        self._running = False
        self.took = self._clock() - self._begun
        self._ended.append(self.took)

    @property
    def suite(self) -> float | None:
        """Of all pretrainings, if they take as long as those that have ended."""
        if not self._ended:
            return None
        usual = sum(self._ended) / len(self._ended)
        rest = usual - (self._clock() - self._begun) if self._running else 0.0
        return self._waiting * usual + max(rest, self.training or 0.0, 0.0)


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
