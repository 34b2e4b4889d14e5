"""Progress: bars on a terminal (stderr) or in a notebook, plain lines elsewhere, at most one a minute."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from sslbench.contracts.executor import Event
from sslbench.errors import printable
from sslbench.execute.events import DataRead, Printed, TrainingStarted, Warned
from sslbench.progress.plain_lines import PlainLines
from sslbench.progress.time_left import Clock
from sslbench.report.data_facts import batch_in_words, in_words, steps_in_words, warnings
from sslbench.report.screen import PLAIN_TERMINALS, said

if TYPE_CHECKING:
    from sslbench.progress.live_lines import LiveLines


class Display:
    """Shows the events of a run: which pretraining, which epoch, images/s and time left."""

    def __init__(self, data: bool = True, quiet: bool = False, clock: Clock = time.monotonic) -> None:
        """``data``: whether it says what is looked at; a command that does so itself turns it off. ``quiet``: warnings
        and what plugins print alone."""
        self._data, self._quiet = data, quiet
        self._live: LiveLines | None = None
        if quiet:
            pass
        elif in_notebook():
            from sslbench.progress.notebook_lines import NotebookLines

            self._live = NotebookLines(clock)
        elif sys.stderr.isatty() and os.environ.get("TERM") not in PLAIN_TERMINALS:
            from sslbench.progress.live_lines import LiveLines

            self._live = LiveLines(clock)
        self._lines = PlainLines(clock)
        self._shown: set[str] = set()

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, event: Event) -> None:
        """Show one event of the run."""
        if isinstance(event, Printed):  # as it is, and each time
            return self._print(printable(event.text))
        lines = [] if isinstance(event, DataRead) and not self._data else lines_of(event, self._quiet)
        if not lines and not self._quiet:
            (self._live or self._lines).show(event)
        for line in lines:
            if line not in self._shown:  # each once, though every pretraining may emit it
                self._shown.add(line)
                self._print(said(line))
        return None

    def _print(self, line: str) -> None:
        if self._live:
            self._live.print(line)
        else:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def lines_of(event: Event, quiet: bool = False) -> list[str]:
    """What is printed for good, with ``quiet`` warnings alone; no line for an event that moves a bar."""
    match event:
        case Warned():
            return [event.text]
        case DataRead() if quiet:
            return warnings(event.dataset, event.facts)
        case _ if quiet:
            return []
        case DataRead():
            return [in_words(event.dataset, event.facts), *warnings(event.dataset, event.facts)]
        case TrainingStarted(batch_size=batch, asked=asked, epochs=epochs, steps_per_epoch=steps) if epochs:
            return [f"{batch_in_words(batch, asked)}: {steps_in_words(epochs, epochs * steps)}"]
    return []
