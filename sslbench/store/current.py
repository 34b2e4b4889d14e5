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

CURRENT = "(cell IN (SELECT asked.cell FROM asked) OR description NOT IN (SELECT asked.description FROM asked))"
"""SQL: whether a row of ``record`` is current"""
ASKED_AT = "SELECT max(position) FROM asked WHERE asked.description = record.description AND asked.cell = record.cell"
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


def ask(db: sqlite3.Connection, cells: Iterable[Asked], suite: str, source: str, place: str) -> None:
    """Make the records of these cells the current ones, all or none. ``place``: hash of the working folder. Raises
    sqlite3.Error."""
    items = list(cells)
    db.execute("BEGIN IMMEDIATE")
    try:
        db.executemany(
            "DELETE FROM asked WHERE description = ? AND (content = ? OR place = ?)",
            [(item.description, item.content, place) for item in items],
        )
        db.executemany(
            "INSERT INTO asked (description, content, place, cell, suite, source) VALUES (?, ?, ?, ?, ?, ?)",
            [(item.description, item.content, place, item.cell, suite, source) for item in items],
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
