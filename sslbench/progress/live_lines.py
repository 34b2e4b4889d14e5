"""Progress as live lines on a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from sslbench.contracts.executor import Event, TrainingProgress
from sslbench.errors import printable
from sslbench.execute.events import PretrainingEnded, PretrainingStarted, RecordMade, StageStarted
from sslbench.progress.time_left import Clock, in_digits
from sslbench.progress.under_way import Running, distinct, epoch_in_words
from sslbench.report.screen import colours_wanted

NOTE_COLUMNS = 62
"""of a line: all but which pretraining it is about"""
SHORTEST_LABEL = 18
"""columns for that, at least"""
OTHER_ROWS = 2
"""of the terminal, which pretrainings leave free"""


@dataclass(eq=False)
class Line:
    """What is shown of one pretraining."""

    bar: TaskID
    stage: str = ""
    epoch: str = ""


class LiveLines:
    """Bars: one for the cells of the suite, and one for the steps of each pretraining that runs now."""

    def __init__(self, clock: Clock) -> None:
        self._running = Running(clock)
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[note]}", markup=False),
            TextColumn("{task.fields[left]}", style="progress.remaining"),
            console=Console(stderr=True, no_color=colours_wanted() is False),
            transient=True,
        )
        self._suite = self.progress.add_task("suite", total=None, note="", left="")
        self._lines: dict[str, Line] = {}
        """by the key that events have of their pretraining"""

    def start(self) -> None:
        """Show the bars from now on."""
        self.progress.start()

    def stop(self) -> None:
        """Take them away."""
        self.progress.stop()

    def print(self, line: str) -> None:
        """A line that stays, above the bars."""
        self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, event: Event) -> None:
        """Move the bars; events that are for the store alone change nothing."""
        match event:
            case PretrainingStarted():
                self._begin(event)
            case PretrainingEnded():
                self._end(event)
            case StageStarted():
                self._stage(event)
            case TrainingProgress():
                self._step(event)
            case RecordMade():
                self.progress.advance(self._suite)
        self.progress.update(self._suite, left=in_digits(self._running.left.suite))

    def _begin(self, event: PretrainingStarted) -> None:
        started = self._running.begin(event)
        if event.number == 0:
            self.progress.update(self._suite, total=event.cells)
        self.progress.update(self._suite, description=started.place)
        self._line(event)
        self._draw()

    def _end(self, event: PretrainingEnded) -> None:
        self._running.end(event)
        if line := self._lines.pop(event.work, None):
            self.progress.remove_task(line.bar)
        if self._lines:
            self._draw()

    def _stage(self, event: StageStarted) -> None:
        line = self._line(event)
        line.stage, line.epoch = printable(event.text), ""
        if running := self._running.by_key.get(event.work):
            running.time.trained()
        self.progress.update(line.bar, left="")
        self._draw()

    def _step(self, event: TrainingProgress) -> None:
        line, left = self._line(event), None
        line.epoch = epoch_in_words(event)
        if running := self._running.by_key.get(event.work):
            running.time.step(event.step, event.total_steps)
            left = running.time.left
        self.progress.update(line.bar, completed=event.step, total=event.total_steps, left=in_digits(left))
        self._draw()

    def _line(self, event: Event) -> Line:
        """The line that the event is about."""
        if event.work not in self._lines:
            self._lines[event.work] = Line(self.progress.add_task("", total=None, note="", left=""))
        return self._lines[event.work]

    def _draw(self) -> None:
        """Say on each line which pretraining it is about; a single one has its name beside the suite."""
        running = self._running.by_key
        labels = dict(zip(running, distinct([each.name for each in running.values()]), strict=True))
        alone = len(running) < 2
        names = "".join(each.name for each in running.values()) if alone else f"{len(running)} at a time"
        self.progress.update(self._suite, note=printable(names))
        most = self.progress.console.height - OTHER_ROWS
        for row, (key, line) in enumerate(self._lines.items()):
            if alone:
                first, _, rest = line.stage.partition(" ")
            else:
                number = running[key].place.partition(" ")[0] if key in running else ""
                first, rest = self._shortened(f"{number} {labels.get(key, '')}".strip()), line.stage
            self.progress.update(line.bar, description=first, note=line.epoch or rest, visible=row < most)

    def _shortened(self, label: str) -> str:
        """The label, of which a narrow terminal shows the two ends."""
        room = max(SHORTEST_LABEL, self.progress.console.width - NOTE_COLUMNS)
        text = printable(label)
        return text if len(text) <= room else f"{text[: room // 2]}…{text[room // 2 + 1 - room :]}"
