"""Progress as bars in an output of a notebook; needs no widgets."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from rich.progress import Task

from sslbench.contracts.executor import Event
from sslbench.progress.live_lines import LiveLines
from sslbench.progress.time_left import Clock

EVERY = 0.25
"""seconds from one drawing to the next, at least"""


class NotebookLines(LiveLines):
    """The bars of a terminal as HTML."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._clock, self._drawn = clock, -math.inf
        self._output: Any = None

    def start(self) -> None:
        """Show the bars from now on."""
        from IPython.display import display

        self._output = display({"text/html": ""}, raw=True, display_id=True)

    def stop(self) -> None:
        """Take them away."""
        self._draw_html("")

    def print(self, line: str) -> None:
        """A line that stays, below the bars."""
        print(line, flush=True)

    def show(self, event: Event) -> None:
        """Move the bars; events that are for the store alone change nothing."""
        super().show(event)
        if self._clock() - self._drawn >= EVERY:
            self._drawn = self._clock()
            self._draw_html("".join(html_of(task) for task in self.progress.tasks if task.visible))

    def _draw_html(self, text: str) -> None:
        self._output.update({"text/html": text}, raw=True)


def html_of(task: Task) -> str:
    """One bar and its words."""
    share = "" if task.total is None else f' max="{task.total:g}" value="{task.completed:g}"'
    words = escape(" · ".join(filter(None, (task.description, task.fields["note"], task.fields["left"]))))
    return f"<div><progress{share}></progress> {words}</div>"
