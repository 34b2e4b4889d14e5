"""Progress as plain lines."""

from __future__ import annotations

import sys

from sslbench.contracts.executor import Event, TrainingProgress
from sslbench.execute.events import PretrainingEnded, PretrainingStarted, StageStarted
from sslbench.progress.time_left import Clock, duration
from sslbench.progress.under_way import Pretraining, Running, epoch_in_words
from sslbench.report.screen import said

EVERY = 60.0
"""seconds between two lines while pretrainings go on, at least"""


class PlainLines:
    """For logs: a line when a pretraining begins and one when it ends, at most one a minute in between."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._running = clock, Running(clock)
        self._last: float | None = None
        """when a line was printed last"""

    def show(self, event: Event) -> None:
        """Print what is due; events that are for the store alone print nothing."""
        running = self._running.by_key.get(event.work)
        match event:
            case PretrainingStarted():
                started = self._running.begin(event)
                self._print(f"{started.place}: {started.name}")
            case PretrainingEnded():
                about = self._about(running)
                if ended := self._running.end(event):
                    self._print(f"{about}ended after {duration(ended.time.took)}{self._left_for_all()}")
            case StageStarted():
                if running:
                    running.time.trained()
                self._print_if_due(f"{self._about(running)}{event.text}")
            case TrainingProgress():
                self._print_if_due(f"{self._about(running)}{epoch_in_words(event)}{self._left(event, running)}")

    def _about(self, running: Pretraining | None) -> str:
        """Which pretraining a line is about, by name where there are others."""
        if running is None:
            return ""
        return f"{running.place} {running.name}: " if len(self._running.by_key) > 1 else f"{running.place}: "

    def _left(self, event: TrainingProgress, running: Pretraining | None) -> str:
        if running is None:
            return ""
        running.time.step(event.step, event.total_steps)
        own = "" if running.time.left is None else f", {duration(running.time.left)} left"
        return f"{own}{self._left_for_all()}"

    def _left_for_all(self) -> str:
        left = self._running.left.suite
        return f", {duration(left)} left for all" if left else ""

    def _print_if_due(self, text: str) -> None:
        if self._last is None or self._clock() - self._last >= EVERY:
            self._print(text)

    def _print(self, text: str) -> None:
        self._last = self._clock()
        sys.stderr.write(f"{said(text)}\n")
        sys.stderr.flush()
