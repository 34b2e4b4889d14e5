"""Progress on stderr: a live line on a terminal, plain lines elsewhere, at most one a minute."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from sslbench.cli.streams import say
from sslbench.cli.time_left import Clock, TimeLeft, duration, in_digits
from sslbench.contracts.executor import Event, TrainingProgress
from sslbench.errors import printable
from sslbench.execute.events import (
    DataRead,
    PretrainingEnded,
    PretrainingStarted,
    RecordMade,
    StageStarted,
    TrainingStarted,
    Warned,
)
from sslbench.report.data_facts import batch_in_words, in_words, steps_in_words, warnings

if TYPE_CHECKING:
    from rich.progress import Progress

EVERY = 60.0
"""seconds between two lines while a pretraining goes on, at least"""


class Display:
    """Shows the events of a run: which pretraining, which epoch, images/s and time left."""

    def __init__(self, data: bool = True, clock: Clock = time.monotonic) -> None:
        """``data``: whether it says what is looked at; a command that does so itself turns it off."""
        self._data = data
        self._live = LiveLine(clock) if sys.stderr.isatty() else None
        self._lines = PlainLines(clock)
        self._shown: set[str] = set()

    def __enter__(self) -> Display:
        if self._live:
            self._live.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.progress.stop()

    def show(self, event: Event) -> None:
        """Show one event of the run."""
        lines = [] if isinstance(event, DataRead) and not self._data else lines_of(event)
        if not lines:
            (self._live or self._lines).show(event)
        for line in lines:
            if line not in self._shown:  # each once, though every pretraining may emit it
                self._shown.add(line)
                self._print(line)

    def _print(self, text: str) -> None:
        if self._live:
            line = printable(f"sslbench: {text}")
            self._live.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            say(text)


def lines_of(event: Event) -> list[str]:
    """What is printed for good; no line for an event that moves a bar."""
    match event:
        case Warned():
            return [event.text]
        case DataRead():
            return [in_words(event.dataset, event.facts), *warnings(event.dataset, event.facts)]
        case TrainingStarted(batch_size=batch, asked=asked, epochs=epochs, steps_per_epoch=steps) if epochs:
            return [f"{batch_in_words(batch, asked)}: {steps_in_words(epochs, epochs * steps)}"]
    return []


class PlainLines:
    """For logs: a line when a pretraining begins and one when it ends, at most one a minute in between."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._left = clock, TimeLeft(clock)
        self._place, self._count = "", 0
        """which pretraining of how many, and how many"""
        self._last: float | None = None
        """when a line was printed last"""

    def show(self, event: Event) -> None:
        """Print what is due; events that are for the store alone print nothing."""
        match event:
            case PretrainingStarted():
                self._count = event.pretrainings
                self._place = f"{event.number + 1} of {self._count}: "
                self._left.begin(event.pretrainings - event.number - 1)
                self._print(event.name)
            case PretrainingEnded():
                self._left.end()
                self._place = f"{event.number + 1} of {self._count}: "
                self._print(f"ended after {duration(self._left.took)}{self._left_for_all()}")
            case StageStarted():
                self._left.trained()
                self._print_if_due(event.text)
            case TrainingProgress():
                self._left.step(event.step, event.total_steps)
                own = "" if self._left.training is None else f", {duration(self._left.training)} left"
                self._print_if_due(f"{epoch_in_words(event)}{own}{self._left_for_all()}")

    def _left_for_all(self) -> str:
        return f", {duration(self._left.suite)} left for all" if self._left.suite else ""

    def _print_if_due(self, text: str) -> None:
        if self._last is None or self._clock() - self._last >= EVERY:
            self._print(text)

    def _print(self, text: str) -> None:
        self._last = self._clock()
        say(f"{self._place}{text}")


class LiveLine:
    """Two bars: the cells of the suite, and the steps of the pretraining that runs now."""

    def __init__(self, clock: Clock) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._left = TimeLeft(clock)
        self.progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[note]}", markup=False),
            TextColumn("{task.fields[left]}", style="progress.remaining"),
            console=Console(stderr=True),
            transient=True,
        )
        self._suite = self.progress.add_task("suite", total=None, note="", left="")
        self._pretraining = self.progress.add_task("", total=None, note="", left="", visible=False)

    def show(self, event: Event) -> None:
        """Move the bars; events that are for the store alone change nothing."""
        match event:
            case PretrainingStarted():
                self._left.begin(event.pretrainings - event.number - 1)
                if event.number == 0:
                    self.progress.update(self._suite, total=event.cells)
                count = f"{event.number + 1} of {event.pretrainings}"
                self.progress.update(self._suite, description=count, note=printable(event.name))
                self.progress.reset(self._pretraining, description="", total=None, note="", left="", visible=True)
            case PretrainingEnded():
                self._left.end()
            case StageStarted():
                self._left.trained()
                stage, _, rest = printable(event.text).partition(" ")
                self.progress.update(self._pretraining, description=stage, note=rest, left="")
            case TrainingProgress():
                self._left.step(event.step, event.total_steps)
                note, left = epoch_in_words(event), in_digits(self._left.training)
                done, total = event.step, event.total_steps
                self.progress.update(self._pretraining, completed=done, total=total, note=note, left=left)
            case RecordMade():
                self.progress.advance(self._suite)
        self.progress.update(self._suite, left=in_digits(self._left.suite))


def epoch_in_words(progress: TrainingProgress) -> str:
    """Which epoch, how fast, what loss."""
    place = f"epoch {progress.epoch}/{progress.epochs}"
    return f"{place}  {progress.images_per_second:,.0f} images/s  loss {progress.loss:.3f}"
