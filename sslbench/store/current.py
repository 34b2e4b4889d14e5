"""Which record of a cell is current. Everything that reads a results folder asks here.

A run knows the keys of its cells, so it knows which record is right for each, made now or long ago. It says so before
it begins (``ask``), and that stands until a later run says otherwise: for the same description, and the same content of
the data or the same working folder. Two contents under one description, asked for from two working folders, are two
data sets with a current record each; a folder that was edited supersedes what it was. Of a description that nobody
asked for in this way, as in results of older versions, all records are current, and tables take the later one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from sslbench.store.database import has_column, row_digest

CURRENT = "(cell IN (SELECT asked.cell FROM asked) OR description NOT IN (SELECT asked.description FROM asked))"
"""SQL: whether a row of ``record`` is current"""
ASKED_AT = "SELECT max(position) FROM asked WHERE asked.description = record.description AND asked.cell = record.cell"
COLUMNS = ("description", "content", "cell", "suite", "source", "place", "command")
ORDER = f"({ASKED_AT}), position"
"""SQL: rows of ``record`` by when they were asked for, the last one last"""


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
class Unfinished:
    """What one command asked for, of which some cells are not run yet."""

    suite: str
    command: str | None
    cells: int
    missing: int
    """cells without a record, 1 or more"""


def ask(db: sqlite3.Connection, cells: Iterable[Asked], asker: Asker) -> None:
    """Make the records of these cells the current ones, all or none. Raises sqlite3.Error."""
    items = list(cells)
    db.execute("BEGIN IMMEDIATE")
    try:
        db.executemany(
            "DELETE FROM asked WHERE description = ? AND (content = ? OR place = ?)",
            [(item.description, item.content, asker.place) for item in items],
        )
        rows = [(item.description, item.content, item.cell, *vars(asker).values()) for item in items]
        db.executemany(
            f"INSERT INTO asked ({', '.join(COLUMNS)}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(*row, row_digest(*row)) for row in rows],
        )
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def sources(db: sqlite3.Connection) -> dict[str, list[str]]:
    """Suite -> the files that asked under its name, the first one first."""
    rows = db.execute("SELECT suite, source FROM asked GROUP BY suite, source ORDER BY min(position)")
    of_suite: dict[str, list[str]] = {}
    for suite, source in rows:
        of_suite.setdefault(suite, []).append(source)
    return of_suite


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
    if not has_column(db, "asked", "digest"):
        return 0
    rows = db.execute(f"SELECT digest, {', '.join(COLUMNS)} FROM asked WHERE digest IS NOT NULL")
    return sum(digest != row_digest(*row) for digest, *row in rows)
