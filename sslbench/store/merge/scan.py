"""What a results folder holds, without the texts of its records: what a merge goes by."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslbench.store.current import AskedRow, asked_rows
from sslbench.store.database import as_store_error, has_table, row_digest
from sslbench.store.json_parts import DamagedRecord
from sslbench.store.lock import WriterLock
from sslbench.store.record import Record
from sslbench.store.results import FILE, ResultsStore


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored record of one folder."""

    cell: str
    digest: str
    """of the whole row: equal where one is a copy of the other"""
    result: str
    """hash of status and metrics, in which two runs of a cell should agree"""
    finished: bool
    """whether it was evaluated: what went wrong is tried again"""
    is_speed: bool
    made: str
    """UTC, ISO 8601; empty where nobody knows"""
    pretraining: str
    """key of its pretraining; empty where it has none"""
    folder: int
    """number of the folder, in the order of preference"""
    place: int
    """among the records of the folder, from 0"""

    @property
    def age(self) -> tuple[str, str]:
        """Sorts records of a cell by when they were made, in whatever order folders are given."""
        return (self.made, self.digest)


@dataclass(frozen=True)
class Scan:
    """One folder."""

    folder: Path
    entries: tuple[Entry, ...]
    asked: tuple[AskedRow, ...]
    steps: Mapping[str, str]
    """whose step times are there -> their digest"""
    damaged: tuple[str, ...]
    """a line for each thing that is left out"""
    writer: str | None
    """who writes to it now"""


class StoredRows(ResultsStore):
    """A results folder whose rows are taken as they are."""

    def entries(self, number: int, damaged: list[str]) -> Iterator[Entry]:
        """The records that can be read, of folder ``number``; a line for each other one goes to ``damaged``."""
        for place, row in enumerate(self._rows("ORDER BY position")):
            try:
                yield entry_of(self._read(*row), row, number, place)
            except DamagedRecord as error:
                damaged.append(str(error))

    def row(self, cell: str) -> tuple[Any, ...] | None:
        """The columns of a cell's record, or None. Raises DamagedRecord."""
        for row in self._rows("WHERE cell = ?", values=[cell]):
            self._check_digest(*row)
            return row[:-1]
        return None

    def asked(self) -> list[AskedRow | None]:
        """What is asked for; None for what is damaged."""
        with as_store_error(self.path, "read the results"):
            return list(asked_rows(self._db)) if has_table(self._db, "asked") else []

    def step_digests(self, damaged: list[str]) -> Iterator[tuple[str, str]]:
        """Whose step times are there, and their digest; a line for each that is damaged goes to ``damaged``."""
        for (key,) in self._query("SELECT pretraining FROM steps ORDER BY rowid"):
            try:
                yield key, row_digest(*self.steps_row(key))
            except DamagedRecord as error:
                damaged.append(str(error))

    def steps_row(self, key: str) -> tuple[str, bytes]:
        """The step times of a pretraining as they are stored. Raises DamagedRecord."""
        samples = self.steps(key)
        if samples is None:
            raise DamagedRecord(f"{self.path}: step times of pretraining {key}: gone")
        return key, struct.pack(f"<{len(samples)}f", *samples)


def scanned(folder: Path, number: int) -> Scan:
    """Everything of a folder. Raises UserError or StoreError where it holds no results that can be read."""
    damaged: list[str] = []
    with StoredRows.open_for_reading(folder) as store:
        entries = tuple(store.entries(number, damaged))
        rows = store.asked()
        steps = dict(store.step_digests(damaged))
        if lost := rows.count(None):
            damaged.append(f"{store.path}: the list of current records: {lost} of its rows do not match their digests")
    asked = tuple(row for row in rows if row is not None)
    return Scan(folder, entries, asked, steps, tuple(damaged), WriterLock(folder / FILE).writer())


def entry_of(record: Record, row: tuple[Any, ...], folder: int, place: int) -> Entry:
    """What a merge goes by, of a record and its row."""
    return Entry(
        record.cell,
        row_digest(*row[:-1]),
        row_digest(record.status, repr(sorted(record.metrics.items()))),
        record.finished,
        record.kind == "speed",
        record.made,
        (record.pretraining.key if record.pretraining else None) or "",
        folder,
        place,
    )
