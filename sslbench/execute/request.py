"""What a user asks to be run, and what a run left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sslbench.errors import StoreError, UserError
from sslbench.plan.reference import Reference
from sslbench.plan.suite import Overrides, RawSuite
from sslbench.store.current import Unfinished
from sslbench.store.record import Record


@dataclass(frozen=True)
class Request:
    """A suite and how to run it."""

    suite: str | RawSuite = "quick"
    """a name or path, or a suite itself"""
    overrides: Overrides = field(default_factory=Overrides)
    out: Path | None = None
    """results folder; default: ``sslbench-results/SUITE``"""
    fresh: bool = False
    """run everything again, also what is done"""
    keep_stale: bool = False
    """take results of older code or data as they are"""
    executor: str | None = None
    """``NAME`` or ``NAME:key=value``; None: worker processes, or this one where ``run`` is given a registry of its own,
    which no other process has"""
    observers: Sequence[str | Reference] = ()
    """``NAME`` or ``NAME:key=value``, in the place of the suite's; they change no result and no key"""
    retries: int = 0
    """times that a pretraining is tried again when its worker is lost; out of memory once, with fewer images at once"""
    detach: bool = False
    """leave the work to an executor that goes on without this process; the same request picks up what has finished"""
    max_cells: int | None = None
    strict_plugins: bool = False
    """refuse to run while any plugin is broken"""
    download: bool = False
    """allow data sets and weights to be fetched"""
    trust: bool = False
    """allow code that comes with a model to run"""
    size: str | None = None
    """of the suite, such as ``small``; default: the suite as it is"""


@dataclass
class Outcome:
    """The records of a suite after a run, and how the run ended."""

    suite: str
    out: Path
    source: str = ""
    """the suite's file, or its name where it is built in"""
    records: list[Record] = field(default_factory=list)
    """of every cell of the suite that has one, in the suite's order, skipped ones included"""
    trained: int = 0
    """cells that were run now"""
    store_error: str | None = None
    """why results could not be stored, or None"""
    interrupted: bool = False
    detached: int | None = None
    """pieces of work that go on without this process; None where that was not asked for"""
    unfinished: list[Unfinished] = field(default_factory=list)
    """this run, where cells of it are left"""
    notes: tuple[str, ...] = ()
    """what the user should know beside the result"""

    @property
    def statuses(self) -> Counter[str]:
        """Number of records of each status."""
        return Counter(record.status for record in self.records)

    @property
    def exit_code(self) -> int:
        """0: well; 1: a cell failed; 2: everything is skipped; 130: interrupted; else results could not be stored."""
        if self.interrupted:
            return 130
        if self.store_error:
            return StoreError.exit_code
        if self.all_skipped:
            return UserError.exit_code
        return 0 if set(self.statuses) <= {"done", "skipped"} else 1

    @property
    def all_skipped(self) -> bool:
        """Whether nothing could be run: none of its plugins work together."""
        return set(self.statuses) == {"skipped"} and not self.unfinished
