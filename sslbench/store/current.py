"""Which record of a cell is current. Everything that reads a results folder asks here.

A run knows the keys of its cells, so it knows which record is right for each, made now or long ago. It says so before
it begins (``ask``), and that stands until a later run says otherwise: for the same description, and the same content of
the data or the same working folder. Two contents under one description, asked for from two working folders, are two
data sets with a current record each; a folder that was edited supersedes what it was. Of a description that nobody
asked for in this way, as in results of older versions, all records are current, and tables take the later one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sslbench.store.database import has_column, row_digest, transaction

CURRENT = "(cell IN (SELECT asked.cell FROM asked) OR description NOT IN (SELECT asked.description FROM asked))"
"""SQL: whether a row of ``record`` is current"""
ASKED_AT = "SELECT max(position) FROM asked WHERE asked.description = record.description AND asked.cell = record.cell"
COLUMNS = ("description", "content", "cell", "suite", "source", "place", "command")
ORDER = f"({ASKED_AT}), position"
"""SQL: rows of ``record`` by when they were asked for, the last one last"""
PUT = f"INSERT INTO asked ({', '.join(COLUMNS)}, time, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Asked:
    """One cell as a run asks for it."""

    description: str
    content: str
    """fingerprints of the data and of the files that its method reads"""
    cell: str
    """key of the record that stands for it"""


@dataclass(frozen=True)
class Asker:
    """Who asks for cells."""

    suite: str
    source: str
    """the suite's file, or its name where it is built in"""
    place: str = ""
    """hash of the working folder"""
    command: str | None = None
    """that asks for the same, in words of a shell"""


@dataclass(frozen=True)
class AskedRow:
    """One cell, who asked for it, and when."""

    cell: Asked
    asker: Asker
    time: str | None
    """UTC, ISO 8601; None where an older version wrote the row"""

    def values(self) -> tuple[str | None, ...]:
        """As ``PUT`` takes them."""
        row = (self.cell.description, self.cell.content, self.cell.cell, *vars(self.asker).values())
        return (*row, self.time, digest_of(row, self.time))

    def rivals(self, other: AskedRow) -> bool:
        """Whether the later one of the two would have taken the place of the other in one folder."""
        same_place = self.asker.place == other.asker.place
        same_content = self.cell.content == other.cell.content
        return self.cell.description == other.cell.description and (same_content or same_place)


@dataclass(frozen=True)
class Unfinished:
    """What one command asked for, of which some cells are not run yet."""

    suite: str
    command: str | None
    cells: int
    missing: int
    """cells without a record, 1 or more"""


def ask(db: sqlite3.Connection, cells: Iterable[Asked], asker: Asker) -> None:
    """Make the records of these cells the current ones, all or none. Raises sqlite3.Error."""
    items, time = list(cells), datetime.now(UTC).isoformat()
    with transaction(db):
        db.executemany(
            "DELETE FROM asked WHERE description = ? AND (content = ? OR place = ?)",
            [(item.description, item.content, asker.place) for item in items],
        )
        db.executemany(PUT, [AskedRow(item, asker, time).values() for item in items])


def digest_of(row: Sequence[str | None], time: str | None) -> str:
    """Of ``COLUMNS`` and the time, which rows of older versions lack."""
    return row_digest(*row, *([] if time is None else [time]))


def replace_all(db: sqlite3.Connection, rows: Iterable[AskedRow]) -> None:
    """Make these, in their order, all that is asked for. Raises sqlite3.Error."""
    db.execute("DELETE FROM asked")
    db.executemany(PUT, [row.values() for row in rows])


def asked_rows(db: sqlite3.Connection) -> Iterator[AskedRow | None]:
    """What is asked for, the first one first; None for a row that is damaged."""
    command, time, digest = (
        name if has_column(db, "asked", name) else "NULL" for name in ("command", "time", "digest")
    )
    names = ", ".join((*COLUMNS[:-1], command, time, digest))
    for *row, at, written in db.execute(f"SELECT {names} FROM asked ORDER BY position"):
        intact = written is None or written == digest_of(row, at)
        description, content, cell, *asker = row
        yield AskedRow(Asked(description, content, cell), Asker(*asker), at) if intact else None


def sources(db: sqlite3.Connection) -> dict[str, list[str]]:
    """Suite -> the files that asked under its name, the first one first."""
    rows = db.execute("SELECT suite, source FROM asked GROUP BY suite, source ORDER BY min(position)")
    of_suite: dict[str, list[str]] = {}
    for suite, source in rows:
        of_suite.setdefault(suite, []).append(source)
    return of_suite


def commands(db: sqlite3.Connection) -> list[str]:
    """Those that asked for what is current, in words of a shell, the first one first."""
    if not has_column(db, "asked", "command"):
        return []
    rows = db.execute("SELECT command FROM asked WHERE command NOTNULL GROUP BY command ORDER BY min(position)")
    return [command for (command,) in rows]


def unfinished(db: sqlite3.Connection) -> list[Unfinished]:
    """Commands of which cells are not run yet, the first one first."""
    command = "command" if has_column(db, "asked", "command") else "NULL"
    rows = db.execute(
        f"SELECT suite, {command}, count(*), sum(cell NOT IN (SELECT record.cell FROM record)) AS missing FROM asked"
        f" GROUP BY suite, source, {command} HAVING missing > 0 ORDER BY min(position)"
    )
    return [Unfinished(*row) for row in rows]


def damaged(db: sqlite3.Connection) -> int:
    """How many cells are no longer asked for as they were: records may be shown that are not current, or not shown."""
    return sum(row is None for row in asked_rows(db))
