"""Which of several records of a cell is kept, where they disagree, and what is current in the end."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Literal

from sslbench.store.current import AskedRow
from sslbench.store.merge.scan import Entry, Scan

Prefer = Literal["first", "last", "newest"]


@dataclass(frozen=True)
class Choice:
    """The record that is kept of one cell."""

    kept: Entry
    copies: tuple[int, ...]
    """folders that hold the very same record, ``kept`` among them, in order"""
    rivals: tuple[Entry, ...] = ()
    """finished records of other results"""


def choices(scans: Sequence[Scan], prefer: Prefer | None) -> dict[str, Choice]:
    """Cell -> what is kept of it, the one that was made first first."""
    of_cell: dict[str, list[Entry]] = {}
    for scan in scans:
        for entry in scan.entries:
            of_cell.setdefault(entry.cell, []).append(entry)
    chosen = [choose(entries, prefer) for entries in of_cell.values()]
    chosen.sort(key=lambda choice: (choice.kept.made, choice.kept.place, choice.kept.cell))
    return {choice.kept.cell: choice for choice in chosen}


def choose(entries: Sequence[Entry], prefer: Prefer | None) -> Choice:
    """Of the records of one cell: a finished one before any that went wrong, of which the last try is kept. Of several
    with one result it is the first that was made, of measured speeds the newest, or what is preferred."""
    finished = [entry for entry in entries if entry.finished]
    if not finished:
        kept = max(entries, key=attrgetter("age"))
    else:
        kept = preferred(finished, prefer or ("newest" if finished[0].is_speed else None))
    copies = tuple(entry.folder for entry in entries if entry.digest == kept.digest)
    rivals = tuple(entry for entry in finished if entry.result != kept.result and not kept.is_speed)
    return Choice(kept, copies, rivals)


def preferred(entries: Sequence[Entry], prefer: Prefer | None) -> Entry:
    """One of several, in the order of their folders."""
    match prefer:
        case "first":
            return entries[0]
        case "last":
            return entries[-1]
        case "newest":
            return max(entries, key=attrgetter("age"))
    return min(entries, key=attrgetter("age"))


def homes(chosen: Iterable[Choice], prefer: Prefer | None) -> dict[str, tuple[int, ...]]:
    """Pretraining -> the folders whose weights and step times are kept: those with the record that was kept of one of
    its cells, chosen among its cells as it was among folders."""
    of_pretraining: dict[str, list[Choice]] = {}
    for choice in chosen:
        if choice.kept.pretraining:
            of_pretraining.setdefault(choice.kept.pretraining, []).append(choice)
    return {key: home(items, prefer).copies for key, items in of_pretraining.items()}


def home(items: Sequence[Choice], prefer: Prefer | None) -> Choice:
    """The choice whose folder has a pretraining's files."""
    by_folder = sorted(items, key=lambda choice: choice.kept.folder)
    finished = [choice for choice in by_folder if choice.kept.finished] or by_folder
    kept = preferred([choice.kept for choice in finished], prefer)
    return next(choice for choice in finished if choice.kept is kept)


@dataclass(frozen=True)
class Timed:
    """What one folder asks for, and when it did."""

    at: str
    folder: int
    row: AskedRow

    def is_replaced_by(self, other: Timed) -> bool:
        """Whether the other is of another folder, later, and about the same."""
        return self.folder != other.folder and self.at < other.at and self.row.rivals(other.row)


def merged_asked(scans: Sequence[Scan], out: Path) -> list[AskedRow]:
    """What is asked for in the end, as if all runs had asked in one folder, the first one first: a later one takes the
    place of an earlier one about the same. Commands go on in ``out``."""
    about: dict[str, list[Timed]] = {}
    for number, scan in enumerate(scans):
        made = {
            entry.cell: entry.made for entry in scan.entries
        }  # stands for the time that older versions did not note
        for row in scan.asked:
            timed = Timed(row.time or made.get(row.cell.cell, ""), number, into(row, out))
            about.setdefault(row.cell.description, []).append(timed)
    kept = [one for rows in about.values() for one in rows if not any(map(one.is_replaced_by, rows))]
    return list(dict.fromkeys(one.row for one in sorted(kept, key=lambda one: one.at)))


def into(row: AskedRow, out: Path) -> AskedRow:
    """The same, with the command that goes on in ``out``."""
    if row.asker.command is None:
        return row
    words = shlex.split(row.asker.command)
    at = words.index("--out") if "--out" in words else len(words)
    command = shlex.join([*words[:at], "--out", str(out), *words[at + 2 :]])
    return replace(row, asker=replace(row.asker, command=command))
