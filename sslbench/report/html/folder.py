"""A results folder as a page needs it: records, their view, and what is known of those that are not shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sslbench.report.aggregate import aggregate
from sslbench.report.view import View
from sslbench.store.current import Unfinished
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore


@dataclass(frozen=True)
class Folder:
    """What a results folder holds."""

    path: Path
    suite: str
    """names of the suites that asked for it"""
    records: Sequence[Record]
    damaged: Sequence[str]
    """a line for each record that cannot be read"""
    superseded: int
    unfinished: Sequence[Unfinished]
    commands: Sequence[str]
    """that asked for these records, in words of a shell"""
    share: float = 1.0
    """of what a page may hold of pictures and records, 0..1"""

    @property
    def name(self) -> str:
        """Its own, without what is above it."""
        return self.path.resolve().name

    @classmethod
    def read(cls, path: Path, share: float = 1.0) -> Folder:
        """What is there; nothing in a folder without results of runs."""
        if not ResultsStore.exists(path):
            return cls(path, "", [], [], 0, [], [], share)
        with ResultsStore.open_for_reading(path) as store:
            stored, unfinished, commands = store.read(), store.unfinished(), store.commands()
            suite = ", ".join(store.suites())
        return cls(path, suite, stored.records, stored.damaged, stored.superseded, unfinished, commands, share)

    @cached_property
    def cells(self) -> list[Record]:
        """The records of runs; those of speed suites are others."""
        return [record for record in self.records if record.kind == "run"]

    @cached_property
    def view(self) -> View:
        """Of ``cells``."""
        return View(aggregate(self.cells), self.path, self.unfinished)
