"""Merges results folders: reads all of them, refuses what disagrees, and only then writes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sslbench.errors import SslbenchError, StoreError, UserError
from sslbench.store.current import CURRENT, AskedRow, replace_all
from sslbench.store.database import as_store_error, row_digest, transaction
from sslbench.store.merge.choose import Choice, Prefer, choices, homes, merged_asked
from sslbench.store.merge.conflict import refuse
from sslbench.store.merge.files import FilesCopier, artifacts_of, keys_in
from sslbench.store.merge.scan import Entry, Scan, StoredRows, scanned
from sslbench.store.results import COLUMNS, ResultsStore

PUT = (
    f"INSERT INTO record (position, {', '.join(COLUMNS)}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    f" ON CONFLICT (cell) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in (*COLUMNS[1:], 'digest'))}"
)
PUT_STEPS = "INSERT OR REPLACE INTO steps VALUES (?, ?, ?)"
LAST_POSITION = "SELECT coalesce(max(position), 0) FROM record"


@dataclass(frozen=True)
class Part:
    """What became of the records of one folder."""

    folder: Path
    records: int
    """that could be read"""
    fates: Mapping[str, int]
    """``kept``; ``equal``: another record of the same result is kept; ``retried``: it went wrong, and a finished record
    or a later try is kept; ``remeasured``: a speed that was measured again later; ``overruled``: finished with another
    result than the one that is preferred; ``damaged``: records, step times and files"""
    writer: str | None
    """who writes to it now"""


@dataclass
class Merged:
    """What a merge left."""

    out: Path
    parts: list[Part] = field(default_factory=list)
    """in the order of the folders; ``out`` itself is the first where it had results"""
    records: int = 0
    current: int = 0
    pretrainings: int = 0
    files: int = 0
    """that were copied"""
    damaged: list[str] = field(default_factory=list)
    """a line for each thing that was left out"""
    several_trainings: int = 0
    """pretrainings that several folders trained"""


Row = tuple[Any, ...]


class MergedStore(StoredRows):
    """The folder that results are merged into, opened for writing."""

    def write(self, rows: Iterator[Row], steps: Iterator[Row], gone: Sequence[str], asked: Sequence[AskedRow]) -> None:
        """All or nothing: records at their positions, step times, whose step times are ``gone``, and what is asked for.
        Raises StoreError."""
        with as_store_error(self.path, "store what is merged"), transaction(self._db):
            self._db.executemany(PUT, rows)
            self._db.executemany("DELETE FROM steps WHERE pretraining = ?", [(key,) for key in gone])
            self._db.executemany(PUT_STEPS, steps)
            replace_all(self._db, asked)

    def counts(self) -> tuple[int, int]:
        """Records, and those of them that are current."""
        ((records, current),) = self._query(f"SELECT count(*), coalesce(sum({CURRENT}), 0) FROM record")
        return records, current

    def next_position(self) -> int:
        """Of a record that is not there yet."""
        return int(self._query(LAST_POSITION)[0][0]) + 1


def merge(folders: Sequence[Path], out: Path, *, prefer: Prefer | None = None, artifacts: bool = True) -> Merged:
    """Put the results of ``folders`` into ``out``, which is made or added to. Raises before anything is written:
    UserError for folders that cannot be merged, StoreError for files that cannot be read, StoreLocked where another
    process writes to ``out``, MergeConflict where finished records of a cell do not agree and nothing is preferred."""
    check_folders(folders, out)
    with ExitStack() as stack:
        store = stack.enter_context(MergedStore.open_for_writing(out)) if ResultsStore.exists(out) else None
        scans = scan_all([out, *folders] if store else folders)
        chosen = choices(scans, prefer)
        if prefer is None:
            refuse([choice for choice in chosen.values() if choice.rivals], scans)
        store = store or stack.enter_context(MergedStore.open_for_writing(out))
        return Merge(scans, chosen, homes(chosen.values(), prefer), out).into(store, artifacts)


def check_folders(folders: Sequence[Path], out: Path) -> None:
    """Raises UserError for a folder that is given twice or is ``out``, and for an ``out`` that can be no folder."""
    mistakes = []
    if out.exists() and not out.is_dir():
        mistakes.append(f"--out {str(out)!r}: a file; allowed: a folder, or a name that nothing has yet")
    seen: dict[object, Path] = {}
    for folder in folders:
        identity = identity_of(folder)
        if identity == identity_of(out):
            mistakes.append(f"{folder}: is the folder that the results go to (--out); choose another")
        elif identity in seen:
            first = seen[identity]
            mistakes.append(f"{folder}: is given twice" if first == folder else f"{folder}: is {first}, given twice")
        seen.setdefault(identity, folder)
    if mistakes:
        raise UserError(*mistakes)


def identity_of(folder: Path) -> object:
    """Equal for two names of one folder."""
    try:
        found = folder.stat()
    except OSError:
        return folder.absolute()
    return (found.st_dev, found.st_ino)


def scan_all(folders: Sequence[Path]) -> list[Scan]:
    """What the folders hold. Raises an error with a line for each that cannot be read."""
    scans, errors = [], list[SslbenchError]()
    for number, folder in enumerate(folders):
        try:
            scans.append(scanned(folder, number))
        except SslbenchError as error:
            errors.append(error)
    if errors:
        raise type(errors[0])(*(line for error in errors for line in error.messages))
    return scans


@dataclass
class Merge:
    """One merge, of which everything is decided."""

    scans: Sequence[Scan]
    chosen: Mapping[str, Choice]
    homes: Mapping[str, tuple[int, ...]]
    """pretraining -> numbers of the folders that have what belongs to its records"""
    out: Path

    def into(self, store: MergedStore, artifacts: bool) -> Merged:
        """Write. Files come first: a record never speaks of what is not there yet. Raises StoreError."""
        merged = Merged(self.out, damaged=[line for scan in self.scans for line in scan.damaged])
        if artifacts:
            self._copy_files(merged)
        final = dict(self._steps())
        gone = [key for key in self.scans[0].steps if key not in final] if self._is_out(0) else []
        store.write(self._rows(store.next_position()), self._step_rows(final), gone, merged_asked(self.scans, self.out))
        merged.records, merged.current = store.counts()
        merged.pretrainings = len(self.homes)
        merged.parts = [self._part(number, merged.damaged) for number in range(len(self.scans))]
        return merged

    def _is_out(self, number: int) -> bool:
        return self.scans[number].folder == self.out

    def _copy_files(self, merged: Merged) -> None:
        copier = FilesCopier(self.out)
        folders_of: dict[str, list[int]] = {}
        for number, scan in enumerate(self.scans):
            for key in keys_in(scan.folder):
                folders_of.setdefault(key, []).append(number)
        for key, numbers in folders_of.items():
            homes = self.homes.get(key, ())
            sides = (
                [self.scans[number].folder for number in numbers if (number in homes) is own] for own in (True, False)
            )
            merged.several_trainings += copier.copy_training(key, *sides)
        for choice in self.chosen.values():
            key, folders = choice.kept.pretraining, [self.scans[number].folder for number in choice.copies]
            if key in folders_of:
                copier.copy_of_cell(key, choice.kept.cell, folders)
        merged.files = copier.copied
        merged.damaged += copier.damaged

    def _rows(self, position: int) -> Iterator[Row]:
        """The rows that are not there yet, those that are new at positions in the order of their making."""
        there = self._is_out(0)
        missing = [choice.kept for choice in self.chosen.values() if not (there and 0 in choice.copies)]
        positions = {entry.cell: position + rank for rank, entry in enumerate(missing)}
        for number, scan in enumerate(self.scans):
            wanted = [entry for entry in missing if entry.folder == number]
            if not wanted:
                continue
            with StoredRows.open_for_reading(scan.folder) as source:
                for entry in wanted:
                    row = source.row(entry.cell)
                    if row is None or row_digest(*row) != entry.digest:
                        raise StoreError(f"{source.path}: record of cell {entry.cell} changed meanwhile; merge again")
                    yield (positions[entry.cell], *row, entry.digest)

    def _steps(self) -> Iterator[tuple[str, int]]:
        """Whose step times are kept, and the folder that has them."""
        for key in dict.fromkeys(key for scan in self.scans for key in scan.steps):
            choice = self.chosen.get(key.partition("/")[0])  # of a row of a speed suite
            numbers = choice.copies if choice else self.homes.get(key, range(len(self.scans)))
            found = [(scan.steps[key], number) for number in numbers if key in (scan := self.scans[number]).steps]
            if found:
                yield key, min(found)[1]  # of several the same one, in whatever order they come

    def _step_rows(self, final: Mapping[str, int]) -> Iterator[Row]:
        for number, scan in enumerate(self.scans):
            keys = [key for key, of in final.items() if of == number and not self._is_out(number)]
            if keys:
                with StoredRows.open_for_reading(scan.folder) as source:
                    for key in keys:
                        row = source.steps_row(key)
                        yield (*row, row_digest(*row))

    def _part(self, number: int, damaged: Sequence[str]) -> Part:
        scan = self.scans[number]
        fates = Counter(self._fate(entry, self.chosen[entry.cell].kept) for entry in scan.entries)
        files = sum(line.startswith(f"{artifacts_of(scan.folder)}{os.sep}") for line in damaged)
        fates["damaged"] = len(scan.damaged) + files
        return Part(scan.folder, len(scan.entries), fates, None if self._is_out(number) else scan.writer)

    @staticmethod
    def _fate(entry: Entry, kept: Entry) -> str:
        if entry.digest == kept.digest:
            return "kept"
        if not entry.finished:
            return "retried"
        if entry.is_speed:
            return "remeasured"
        return "equal" if entry.result == kept.result else "overruled"
