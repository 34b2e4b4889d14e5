"""What a user asks to be measured, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sslbench.errors import StoreError
from sslbench.speed.defaults import SUITE
from sslbench.store.record import Record


@dataclass(frozen=True)
class SpeedRequest:
    """What the user asked to be measured."""

    suite: str = SUITE
    """a name or path"""
    axes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """axis -> references; replaces that axis of the suite"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """replaces settings of ``[speed]``"""
    baselines: Sequence[Mapping[str, Any]] = ()
    """changes that make a baseline; replaces the suite's"""
    out: Path | None = None
    """results folder; default: ``sslbench-results/SUITE``"""
    find_batch: bool = False
    download: bool = False


@dataclass
class SpeedOutcome:
    """What a speed suite left."""

    suite: str
    out: Path
    records: list[Record] = field(default_factory=list)
    """of every row in the suite's order, those that were left out included"""
    left_out: tuple[str, ...] = ()
    """what the suite leaves out on this device, in its own words"""
    store_error: str | None = None
    """why results could not be stored, or None"""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """Of the command."""
        if self.interrupted:
            return 130
        if self.store_error:
            return StoreError.exit_code
        return 0 if {record.status for record in self.records} <= {"done", "skipped"} else 1
