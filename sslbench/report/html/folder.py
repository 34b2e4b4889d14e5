"""A results folder as a page needs it: records, their view, and what is known of those that are not shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sslbench.report.aggregate import aggregate
from sslbench.report.view import View
from sslbench.store.current import Unfinished
from sslbench.store.found import Found, found_in
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
    found: Sequence[Found] = ()
    """what commands found out beside records"""
    share: float = 1.0
    """of what a page may hold of pictures and records, 0..1"""
    called: str = ""
    """what tells it from others of its name; empty: its own name does"""

    @property
    def name(self) -> str:
        """What it is called in the page."""
        return self.called or self.path.resolve().name

    @classmethod
    def read(cls, path: Path, share: float = 1.0, called: str = "") -> Folder:
        """What is there; nothing in a folder without results of runs."""
        found, unreadable = found_in(path)
        if not ResultsStore.exists(path):
            return cls(path, "", [], unreadable, 0, [], [], found, share, called)
        with ResultsStore.open_for_reading(path) as store:
            stored, unfinished, commands = store.read(), store.unfinished(), store.commands()
            suite = ", ".join(store.suites())
        damaged = [*stored.damaged, *unreadable]
        of_store = (stored.records, damaged, stored.superseded, unfinished, commands)
        return cls(path, suite, *of_store, found, share, called)

    @cached_property
    def cells(self) -> list[Record]:
        """The records of runs; those of speed suites are others."""
        return [record for record in self.records if record.kind == "run"]

    @cached_property
    def view(self) -> View:
        """Of ``cells``."""
        return View(aggregate(self.cells), self.path, self.unfinished)


def names_of(paths: Sequence[Path]) -> list[str]:
    """The last parts of each path, as many as tell them apart."""
    parts = [path.resolve().parts for path in paths]
    names = (["/".join(own[-count:]) for own in parts] for count in range(1, max(map(len, parts)) + 1))
    return next((own for own in names if len(set(own)) == len(own)), list(map(str, paths)))
