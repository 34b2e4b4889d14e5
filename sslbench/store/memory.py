"""Records of a run whose folder cannot be written."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Self

from sslbench.errors import StoreError, UserError
from sslbench.store.database import add_columns, create
from sslbench.store.results import ResultsStore


class MemoryStore(ResultsStore):
    """The same without a file, for a run whose folder cannot be written: nothing outlives the process."""

    def __init__(self, source: ResultsStore | None = None) -> None:
        """``source``: whose records it begins with."""
        db = sqlite3.connect(":memory:", isolation_level=None)
        if source is not None:
            source._db.backup(db)
        create(db)
        add_columns(db)
        super().__init__("memory", db)

    @classmethod
    def copy_of(cls, folder: Path) -> Self:
        """Begins with the records of a folder that can be read, else empty."""
        try:
            with ResultsStore.open_for_reading(folder) as source:
                source.suites()  # which checks the file
                return cls(source)
        except (StoreError, UserError):
            return cls()

    def __del__(self) -> None:
        with suppress(sqlite3.Error):
            self._db.close()
