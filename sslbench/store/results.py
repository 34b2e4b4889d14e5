"""Records in one SQLite file: one writer, any number of readers, nothing half written."""

from __future__ import annotations

import json
import sqlite3
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, get_args

from sslbench.errors import UserError
from sslbench.store.current import CURRENT, ORDER, Asked, Asker, Unfinished, ask, commands, damaged, sources, unfinished
from sslbench.store.database import (
    as_store_error,
    check_integrity,
    has_column,
    has_table,
    open_readable,
    open_writable,
    row_digest,
)
from sslbench.store.json_parts import DamagedRecord, canonical
from sslbench.store.lock import WriterLock
from sslbench.store.record import DataFacts, Record, Status
from sslbench.store.texts import RecordReader

FILE = "results.sqlite"
STATUSES = get_args(Status)
COLUMNS = ("cell", "suite", "description", "inputs", "status", "text")
PUT = (
    f"INSERT INTO record ({', '.join(COLUMNS)}, digest) VALUES (?, ?, ?, ?, ?, ?, ?)"
    f" ON CONFLICT (cell) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in (*COLUMNS[1:], 'digest'))}"
)


@dataclass(frozen=True)
class StoredRecords:
    """Records, and what is known of those that cannot be read."""

    records: list[Record]
    damaged: list[str]
    """a line for each record that is left out: which, where, why"""
    superseded: int = 0
    """records that are not among these, since a later run asked for their cells with other code or data"""

    @classmethod
    def of(cls, items: Iterable[Any], read: Callable[[Any], Record]) -> Self:
        """What can be read of some items; one that is damaged hides no other."""
        stored = cls([], [])
        for item in items:
            try:
                stored.records.append(read(item))
            except DamagedRecord as error:
                stored.damaged.append(str(error))
        return stored


class ResultsStore:
    """The records of one folder, opened in a ``with``. Every ``put`` is on the disk when it returns. Readers are never
    blocked by the writer. A finished folder is one file that can be copied and read from read-only media. Whatever
    SQLite or the system refuse is a StoreError of one line."""

    def __init__(self, path: Path | str, db: sqlite3.Connection, lock: WriterLock | None = None) -> None:
        self.path = path
        self._db = db
        self._lock = lock
        asked = has_table(db, "asked")  # not in a file of an older version that is only read
        self._current, self._order = (CURRENT, ORDER) if asked else ("1", "position")
        self._digested, self._checked = has_column(db, "steps", "digest"), False
        self._reader = RecordReader()

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether the folder holds a results file with anything in it."""
        with suppress(OSError):
            return (folder / FILE).is_file() and (folder / FILE).stat().st_size > 0
        return False

    @classmethod
    def open_for_writing(cls, folder: Path) -> Self:
        """The folder is made where it is missing. Raises StoreLocked if another process writes to it."""
        path = folder / FILE
        with as_store_error(path, "open the results for writing"):
            folder.mkdir(parents=True, exist_ok=True)
            lock = WriterLock(path)
            lock.acquire()
            try:
                return cls(path, open_writable(path), lock)
            except BaseException:
                lock.release()
                raise

    @classmethod
    def open_for_reading(cls, folder: Path) -> Self:
        """Works beside a writer and on read-only media. Raises UserError where there are no results."""
        path = folder / FILE
        if not cls.exists(folder):
            raise UserError(why_no_results(folder))
        with as_store_error(path, "read the results"):
            return cls(path, open_readable(path))

    def put(self, record: Record, *, suite: str, description: str, inputs: Mapping[str, Any]) -> None:
        """Store a record in the place of an older one of its cell. ``description``: hash of what was asked for;
        ``inputs``: code and data that made it."""
        text = canonical(record.to_json())
        row = (record.cell, suite, description, json.dumps(inputs, sort_keys=True), record.status, text)
        with as_store_error(self.path, f"store the record of cell {record.cell}"):
            self._db.execute(PUT, (*row, row_digest(*row)))

    def ask(self, cells: Iterable[Asked], asker: Asker) -> None:
        """Make the records of these cells the current ones of what was asked for, there or not yet (``current``)."""
        with as_store_error(self.path, f"store what suite {asker.suite} asks for"):
            ask(self._db, cells, asker)

    def unfinished(self) -> list[Unfinished]:
        """Commands that were interrupted, or whose runs go on."""
        with as_store_error(self.path, "read the results"):
            return unfinished(self._db) if has_table(self._db, "asked") else []

    def commands(self) -> list[str]:
        """Those that asked for the current records, in words of a shell; older versions wrote none down."""
        with as_store_error(self.path, "read the results"):
            return commands(self._db) if has_table(self._db, "asked") else []

    def raw(self, cell: str) -> str | None:
        """The text of a cell's record as it was stored, or None."""
        rows = self._query("SELECT text FROM record WHERE cell = ?", cell)
        return rows[0][0] if rows else None

    def record(self, cell: str) -> Record | None:
        """A cell's record, or None. Raises DamagedRecord for one that cannot be read."""
        rows = list(self._rows("WHERE cell = ?", values=[cell]))
        return self._read(*rows[0]) if rows else None

    def data_of(self, cell: str) -> DataFacts | None:
        """What the run of a cell looked at; None where nobody wrote it down, or it cannot be read."""
        try:
            record = self.record(cell)
        except DamagedRecord:
            return None
        return record.data if record else None

    def read(self, superseded: bool = False) -> StoredRecords:
        """All current records, or all that are superseded."""
        records: list[Record] = []
        lines = self._damaged_notes()
        others = 0
        for *row, is_current in self._rows("ORDER BY position", f", {self._current}"):
            try:
                if bool(is_current) is not superseded:
                    records.append(self._read(*row))
                else:
                    self._check_digest(*row)  # a flipped bit may have made it another cell's
                    others += 1
            except DamagedRecord as error:
                lines.append(str(error))
        return StoredRecords(records, lines, 0 if superseded else others)

    def _damaged_notes(self) -> list[str]:
        """A line where it is damaged which records are current; from then on all are."""
        with as_store_error(self.path, "read the results"):
            count = damaged(self._db) if self._current == CURRENT else 0
        if not count:
            return []
        self._current, self._order = "1", "position"
        return [f"{self.path}: the list of current records: {count} of its rows do not match their digests"]

    def records(self, where: Mapping[str, Any] | None = None) -> list[Record]:
        """The current records that can be read; ``where``: values of attributes, as ``{"method": "simclr"}``."""
        wanted = (where or {}).items()
        return [r for r in self.read().records if all(getattr(r, name) == value for name, value in wanted)]

    def _rows(self, which: str, more: str = "", values: Sequence[str] = ()) -> Iterator[tuple[Any, ...]]:
        """``COLUMNS`` and digest of some rows, and ``more``."""
        digest = "digest" if self._digested else "NULL"
        return self._each(f"SELECT {', '.join(COLUMNS)}, {digest}{more} FROM record {which}", *values)

    def _read(self, *row: Any) -> Record:
        """The record of a row as ``_rows`` returns it. Raises DamagedRecord."""
        cell, _, _, inputs, _, text, _ = row
        record = self._reader.read(text, f"{self.path}: record of cell {cell}")
        self._check_digest(*row)
        if record.inputs is None and '"data"' in inputs:  # of an older version
            with suppress(ValueError):
                return replace(record, inputs=json.loads(inputs))
        return record

    def _check_digest(self, *row: Any) -> None:
        """Raises DamagedRecord for a row as ``_rows`` returns it that is not as it was written."""
        *values, digest = row
        if digest not in (None, row_digest(*values)):
            raise DamagedRecord(f"{self.path}: record of cell {row[0]}: damaged: it does not match its digest")

    def suites(self) -> list[str]:
        """Names of the suites that asked for these records, the first one first; where several files have one name,
        with these files."""
        names = [name for (name,) in self._query("SELECT suite FROM record GROUP BY suite ORDER BY min(position)")]
        files = self.sources()
        return [f"{name} ({', '.join(files[name])})" if len(files.get(name, ())) > 1 else name for name in names]

    def sources(self) -> dict[str, list[str]]:
        """Suite -> the files that asked under its name."""
        with as_store_error(self.path, "read the results"):
            return sources(self._db) if self._current == CURRENT else {}

    def find(self, description: str) -> list[tuple[str, dict[str, Any], str]]:
        """(cell, inputs, status) of each record of this description, the one that was asked for last at the end;
        ``damaged``: one that cannot be read."""
        rows = self._rows(f"WHERE description = ? ORDER BY {self._order}", values=[description])
        return [(row[COLUMNS.index("cell")], *self._inputs_and_status(row)) for row in rows]

    def _inputs_and_status(self, row: tuple[Any, ...]) -> tuple[dict[str, Any], str]:
        _, _, _, inputs, status, _, digest = row
        try:
            if digest is None or status not in STATUSES:
                status = self._read(*row).status
            self._check_digest(*row)  # what is as it was written need not be read
            made_of = json.loads(inputs)
        except (DamagedRecord, ValueError, TypeError, RecursionError):
            return {}, "damaged"
        return (made_of, status) if isinstance(made_of, dict) else ({}, "damaged")

    def put_steps(self, pretraining: str, step_ms: Iterable[float]) -> None:
        """Store the time of every step of a pretraining, milliseconds; kept as float32."""
        samples = list(step_ms)
        row = (pretraining, struct.pack(f"<{len(samples)}f", *samples))
        with as_store_error(self.path, f"store the step times of pretraining {pretraining}"):
            self._db.execute("INSERT OR REPLACE INTO steps VALUES (?, ?, ?)", (*row, row_digest(*row)))

    def steps(self, pretraining: str) -> array[float] | None:
        """float32 milliseconds in the order of the steps (``numpy.asarray`` takes it), or None; or DamagedRecord."""
        digest = "digest" if self._digested else "NULL"
        rows = self._query(f"SELECT pretraining, ms, {digest} FROM steps WHERE pretraining = ?", pretraining)
        if not rows:
            return None
        *row, digest = rows[0]
        if digest not in (None, row_digest(*row)) or not isinstance(row[1], bytes):
            raise DamagedRecord(f"{self.path}: step times of pretraining {pretraining}: damaged")
        return array("f", struct.unpack(f"<{len(row[1]) // 4}f", row[1]))

    def _query(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        return list(self._each(statement, *values))

    def _each(self, statement: str, *values: str) -> Iterator[tuple[Any, ...]]:
        """One row at a time, so that the texts of many records are not in memory at once."""
        with as_store_error(self.path, "read the results"):
            if not self._checked:
                check_integrity(self._db)
                self._checked = True
            yield from self._db.execute(statement, values)

    def close(self) -> None:
        """Fold the log into the file and let others write."""
        if self._lock is not None:
            with suppress(sqlite3.Error):  # beside a reader the log stays, which does no harm
                self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def why_no_results(folder: Path) -> str:
    """Why a folder has no results, and what is there instead."""
    if not folder.is_dir():
        what = "a file" if folder.exists() else "no such folder"
        return f"{folder}: {what}; name the folder that `sslbench run` wrote to (--out)"
    try:
        names = sorted(f"{item.name}/" if item.is_dir() else item.name for item in folder.iterdir())
    except OSError as error:
        return f"{folder}: cannot be listed: {error.strerror}"
    inside = [str(folder / name) for name in names if name.endswith("/") and ResultsStore.exists(folder / name)]
    if inside:
        return f"{folder}: holds no results itself, but these do: {', '.join(inside)}"
    for name, what in ((FILE, "empty"), (f"{FILE}/", "a folder")):
        if name in names:
            return f"{folder}: holds no results: {FILE} is {what}"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    what = f"found: {', '.join(names[:5])}{more}" if names else "it is empty"
    return f"{folder}: holds no results (no {FILE}; {what})"
