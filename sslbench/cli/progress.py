"""Progress on stderr: a live line on a terminal, warnings alone elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sslbench.contracts.executor import Event
from sslbench.execute.events import DataRead, PretrainingStarted, RecordMade, StageStarted, TrainingStarted, Warned
from sslbench.report.data_facts import batch_in_words, in_words, steps_in_words, warnings

if TYPE_CHECKING:
    from rich.progress import Progress


class Display:
    """Shows the events of a run: which pretraining, which epoch, images/s and time left."""

    def __init__(self, data: bool = True) -> None:
        """``data``: whether it says what is looked at; a command that does so itself turns it off."""
        self._data = data
        self._live = LiveLine() if sys.stderr.isatty() else None
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
        if self._live and not lines:
            self._live.show(event)
        for line in lines:
            if line not in self._shown:  # each once, though every pretraining may emit it
                self._shown.add(line)
                self._print(f"sslbench: {line}")

    def _print(self, text: str) -> None:
        if self._live:
            self._live.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text, err=True)


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


class LiveLine:
    """Two bars: the cells of the suite, and the steps of the pretraining that runs now."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress: Progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._suite = self.progress.add_task("suite", total=None, note="")
        self._pretraining = self.progress.add_task("", total=None, note="", visible=False)

    def show(self, event: Event) -> None:
        """Move the bars; events that are for the store alone change nothing."""
        # Who emits this event has imported torch; before, nobody should wait for it.
        from sslbench.train.task import TrainingProgress

        match event:
            case PretrainingStarted():
                if event.number == 0:
                    self.progress.update(self._suite, total=event.cells)
                count = f"{event.number + 1} of {event.pretrainings}"
                self.progress.update(self._suite, description=count, note=event.name)
                self.progress.reset(self._pretraining, description="", total=None, note="", visible=True)
            case StageStarted():
                stage, _, rest = event.text.partition(" ")
                self.progress.update(self._pretraining, description=stage, note=rest)
            case TrainingProgress(epoch=epoch, epochs=epochs, images_per_second=speed, loss=loss):
                note = f"epoch {epoch}/{epochs}  {speed:,.0f} images/s  loss {loss:.3f}"
                self.progress.update(self._pretraining, completed=event.step, total=event.total_steps, note=note)
            case RecordMade():
                self.progress.advance(self._suite)
