"""Progress on stderr: a live line on a terminal, warnings alone elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sslbench.contracts.executor import Event


class Display:
    """Hears the events of a run and shows which pretraining, which epoch, images/s and time left."""

    def __init__(self) -> None:
        self._live: Any = None
        self._warned: set[str] = set()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._live = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=10),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(compact=True),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
            self._all = self._live.add_task("suite", total=None, note="")
            self._now = self._live.add_task("", total=None, note="", visible=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def hear(self, event: Event) -> None:
        """One event of the run."""
        if event.kind == "warning":
            self._warn(event.facts["text"])
        elif self._live:
            getattr(self, f"_{event.kind}")(event.facts)

    def _warn(self, text: str) -> None:
        """Each warning once, though every pretraining may say it."""
        if text in self._warned:
            return
        self._warned.add(text)
        if self._live:
            self._live.console.print(f"sslbench: {text}", markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(f"sslbench: {text}", err=True)

    def _stage(self, facts: Any) -> None:
        if "name" in facts:
            if facts["place"] == 0:
                self._live.update(self._all, total=facts["cells"])
            self._live.update(self._all, description=f"{facts['place'] + 1} of {facts['groups']}", note=facts["name"])
            self._live.reset(self._now, description="", total=None, note="", visible=True)
        else:
            word, _, rest = facts["text"].partition(" ")
            self._live.update(self._now, description=word, note=rest)

    def _sight(self, facts: Any) -> None:
        note = (
            f"epoch {facts['epoch']}/{facts['epochs']}  {facts['images_per_second']:,.0f} images/s"
            f"  loss {facts['loss']:.3f}"
        )
        self._live.update(self._now, completed=facts["step"], total=facts["total_steps"], note=note)

    def _record(self, facts: Any) -> None:
        self._live.advance(self._all)

    def _steps(self, facts: Any) -> None:
        """Raw step times are for the store."""
