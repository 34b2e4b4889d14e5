"""The SQLite file behind a results folder: how it is made, opened and recognised."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sslbench.errors import StoreError, UserError

SCHEMA_VERSION = 2
APPLICATION_ID = 0x53534C42
"""``SSLB``: tells a results file from any other SQLite file"""
ADDED = (("record", "digest"), ("steps", "digest"), ("asked", "command"), ("asked", "time"), ("asked", "digest"))
"""tables and columns of text that older versions did not make"""
PATIENCE = 30.0
"""seconds to wait for SQLite's own short locks"""


@contextmanager
def as_store_error(path: Path | str, what: str) -> Iterator[None]:
    """Turn what SQLite or the system refuse into a StoreError: where, what, why."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a bug, not a disk
    except (sqlite3.Error, OSError) as error:
        reason = " ".join(
            str(getattr(error, "strerror", None) or error).split()
        )  # SQLite quotes a damaged schema whole
        raise StoreError(f"{path}: cannot {what}: {reason}") from error


@contextmanager
def connection(database: str, uri: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection that is closed where the block fails. Each statement is its own transaction."""
    db = sqlite3.connect(database, timeout=PATIENCE, isolation_level=None, uri=uri)
    # A damaged text must not hide the other rows; its digest tells.
    db.text_factory = lambda content: content.decode("utf-8", "surrogateescape")
    try:
        yield db
    except BaseException:
        db.close()
        raise


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All statements of the block, or none."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def open_writable(path: Path) -> sqlite3.Connection:
    """The database, made where it is missing; one of an older version is marked as of this one."""
    with connection(str(path)) as db:
        db.execute("PRAGMA synchronous = FULL")
        if is_empty(db, path) or not has_table(db, "asked"):
            create(db)
        with suppress(sqlite3.OperationalError):  # a file system without shared memory: the rollback journal serves
            db.execute("PRAGMA journal_mode = WAL")
        add_columns(db)
        # A write that changes nothing: a file that cannot be written says so now, not at the first record.
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    return db


def create(db: sqlite3.Connection) -> None:
    """Make the tables that are missing: all of them in an empty database."""
    schema = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
    db.executescript(f"BEGIN IMMEDIATE; {schema} {marks} COMMIT;")


def has_table(db: sqlite3.Connection, name: str) -> bool:
    """Whether there is a table of this name: older versions had fewer."""
    return (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()


def has_column(db: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether a table has a column: older versions made fewer."""
    return (column,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()


def add_columns(db: sqlite3.Connection) -> None:
    """Make the columns that are missing. They are NULL in the rows that are there."""
    for table, column in ADDED:
        if not has_column(db, table, column):
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT")


def row_digest(*values: Any) -> str:
    """Of the values of one row, in order."""
    digest = blake2b(digest_size=16)
    for value in values:
        content = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def check_integrity(db: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError where the structure of the file is damaged: rows could be missing without a word."""
    problems = [line for (text,) in db.execute("PRAGMA integrity_check(1)") for line in text.splitlines()]
    if problems != ["ok"]:
        raise sqlite3.DatabaseError(f"database disk image is malformed ({problems[-1]})")


def open_readable(path: Path) -> sqlite3.Connection:
    """A database of this version or an older one, for reading alone, on media that cannot be written too."""
    address, log = f"file:{quote(str(path.absolute()))}", Path(f"{path}-wal")
    unread = log.exists() and log.stat().st_size > 0
    try:
        return connect_for_reading(f"{address}?mode=ro", path)
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            raise
        # Where it cannot write, SQLite cannot index a write-ahead log; the file alone would silently lack its records.
        if unread:
            raise StoreError(
                f"{path}: cannot read the results: {error}; records are still in {log.name}: copy both files"
                " to a folder that can be written, and read them there"
            ) from error
        return connect_for_reading(f"{address}?mode=ro&immutable=1", path)


def connect_for_reading(address: str, path: Path) -> sqlite3.Connection:
    """The database at a URI. Raises UserError where nothing has been made of it yet."""
    with connection(address, uri=True) as db:
        if is_empty(db, path):
            raise UserError(f"{path.parent}: holds no results: {path.name} is empty")
    return db


def is_empty(db: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing has been made of the file yet. Raises UserError for one that this version cannot use: nothing
    has run yet, and another folder can be chosen."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != APPLICATION_ID:
        if tables:
            raise UserError(f"{path}: an SQLite file, but not one of sslbench; choose another folder")
        return True
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{path}: written by a newer sslbench (schema {version}; this one knows {SCHEMA_VERSION});"
            " upgrade sslbench, or choose another folder"
        )
    return False
