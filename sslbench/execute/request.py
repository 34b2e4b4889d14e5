"""What a user asks to be run, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sslbench.errors import StoreError
from sslbench.plan.expand import Overrides
from sslbench.plan.suite import RawSuite
from sslbench.store.record import Record


@dataclass(frozen=True)
class Request:
    """What the user asked to be run."""

    suite: str | RawSuite = "quick"
    """a name or path, or a suite itself"""
    overrides: Overrides = field(default_factory=Overrides)
    out: Path | None = None
    """results folder; default: ``sslbench-results/SUITE``"""
    fresh: bool = False
    keep_stale: bool = False
    executor: str = "inline"
    max_cells: int | None = None
    strict_plugins: bool = False
    download: bool = False
    size: str | None = None
    """of the suite, such as ``small``; default: the suite as it is"""


@dataclass
class Outcome:
    """What a run left."""

    suite: str
    out: Path
    records: list[Record] = field(default_factory=list)
    """of every cell of the suite that has one, in the suite's order, skipped ones included"""
    trained: int = 0
    """cells that were run now"""
    store_error: str | None = None
    """why results could not be stored, or None"""
    interrupted: bool = False

    @property
    def statuses(self) -> Counter[str]:
        return Counter(record.status for record in self.records)

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        if self.store_error:
            return StoreError.exit_code
        return 0 if set(self.statuses) <= {"done", "skipped"} else 1
