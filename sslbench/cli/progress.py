"""Progress on stderr: a live line on a terminal, warnings alone elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

import click

from sslbench.contracts.executor import Event
from sslbench.execute.events import PretrainingStarted, RecordMade, StageStarted, Warned

if TYPE_CHECKING:
    from rich.progress import Progress

    from sslbench.train.task import TrainingProgress


class Display:
    """Shows the events of a run: which pretraining, which epoch, images/s and time left."""

    def __init__(self) -> None:
        self._live = LiveLine() if sys.stderr.isatty() else None
        self._warned: set[str] = set()

    def __enter__(self) -> Display:
        if self._live:
            self._live.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.progress.stop()

    def show(self, event: Event) -> None:
        """Show one event of the run."""
        if isinstance(event, Warned):
            self._warn(event.text)
        elif self._live:
            self._live.show(event)

    def _warn(self, text: str) -> None:
        """Each warning once, though every pretraining may emit it."""
        if text in self._warned:
            return
        self._warned.add(text)
        if self._live:
            self._live.progress.console.print(f"sslbench: {text}", markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(f"sslbench: {text}", err=True)


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
                self._start(event)
            case StageStarted():
                stage, _, rest = event.text.partition(" ")
                self.progress.update(self._pretraining, description=stage, note=rest)
            case TrainingProgress():
                self._advance(event)
            case RecordMade():
                self.progress.advance(self._suite)

    def _start(self, event: PretrainingStarted) -> None:
        if event.number == 0:
            self.progress.update(self._suite, total=event.cells)
        count = f"{event.number + 1} of {event.pretrainings}"
        self.progress.update(self._suite, description=count, note=event.name)
        self.progress.reset(self._pretraining, description="", total=None, note="", visible=True)

    def _advance(self, event: TrainingProgress) -> None:
        note = f"epoch {event.epoch}/{event.epochs}  {event.images_per_second:,.0f} images/s  loss {event.loss:.3f}"
        self.progress.update(self._pretraining, completed=event.step, total=event.total_steps, note=note)
