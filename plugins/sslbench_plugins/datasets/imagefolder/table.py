"""A CSV file with the labels of images: the columns ``path`` and ``label``, and the split where it has one."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.class_folders import FolderFiles, LabelledFiles, class_without_training
from sslbench_plugins.blocks.images_on_disk.folders import count_others, shortened
from sslbench_plugins.blocks.images_on_disk.split_column import roles_of_rows
from sslbench_plugins.blocks.images_on_disk.splits import TEST_ROLES, Role
from sslbench_plugins.blocks.images_on_disk.unlabelled import UNLABELLED, check_classes_left, is_unlabelled

NAMED = 3
"""mistakes that a message names one by one"""
Cells = Mapping[str, str]
"""column -> what a row has there"""


@dataclass(frozen=True)
class Row:
    """One line below the first."""

    position: str
    """line and path as written, for messages"""
    path: Path
    label: str
    """empty where there is none"""
    role: Role


def read_table(file: Path, root: Path) -> FolderFiles:
    """Files with the labels of a CSV file. Paths are relative to ``root``, or to the file's own folder, or absolute.
    Raises UserError with one line for each kind of mistake, and loads no image."""
    where = f"labels={file}"
    cells = read_cells(file, where)
    roles = roles_of_rows(cells, where)
    pairs = enumerate(zip(cells, roles, strict=True), start=2)
    rows = [read_row(line, row, role, file, root) for line, (row, role) in pairs]
    check_rows(rows, where, root)
    check_classes_left([written(row) for row in cells], where)
    parts = {role: [row for row in rows if row.role == role] for role in ("train", *TEST_ROLES)}
    train = labelled(parts["train"])
    if not train.paths:
        problem = "every row is of the test split"
        if parts["train"]:
            problem = (
                "every row is without a label" if len(parts["train"]) == len(rows) else "no training row has a label"
            )
        raise UserError(f"{where}: {problem}; none is left to train on")
    chosen: Role | None = next((role for role in TEST_ROLES if labelled(parts[role]).paths), None)
    test = labelled(parts[chosen]) if chosen else None
    stray = class_without_training(train, test, where)
    if stray is not None:
        raise UserError(f"imagefolder: {where} has class {stray!r} in its test split alone")
    left_out = Counter({UNLABELLED: sum(not row.label for row in rows if row.role in ("train", chosen))})
    for role in TEST_ROLES:
        why = "not used" if labelled(parts[role]).paths else "without labels"
        left_out[f"split {role}, {why}"] += len(parts[role]) if role != chosen else 0
    return FolderFiles(root, train, test, partial(others, file, root, [row.path for row in rows], +left_out))


def written(row: Cells) -> str:
    """The label as the table has it."""
    return row["label"].strip()


def labelled(rows: Sequence[Row]) -> LabelledFiles:
    """Those with a label."""
    kept = [row for row in rows if row.label]
    return LabelledFiles([row.path for row in kept], [row.label for row in kept])


def others(file: Path, root: Path, named: Sequence[Path], rows: Mapping[str, int]) -> Mapping[str, int]:
    """Why -> rows without a split, and files below the root that the table does not name."""
    files = count_others(root, [*named, file], lambda path: f"not named in {file.name}")
    return Counter(files) + Counter(rows)


def read_cells(file: Path, where: str) -> list[Cells]:
    """All rows, by the names of the columns in small letters. Raises UserError for a file that cannot be read, lacks a
    column or has it twice, for a row of another length, and for a file without a row."""
    lines = read_lines(file, where)
    columns = columns_in(lines[0][1]) if lines else []
    if "path" not in columns or "label" not in columns:
        names = ", ".join(columns) or "nothing"
        raise UserError(f"{where}: its first line names the columns path and label; it has {shortened(names)}")
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{where}: its first line names the column {twice!r} twice; which one counts is not known")
    if len(lines) == 1:
        raise UserError(f"{where} has no row below its first line")
    long = [number for number, line in lines if len(line) > len(columns)]
    if long:
        problem = f"line {long[0]} has more cells than the first line has columns ({len(columns)})"
        raise UserError(f"{where}: {problem}; a cell with a comma is written in double quotes")
    return [dict(zip(columns, [*line, *[""] * len(columns)], strict=False)) for _, line in lines[1:]]


def read_lines(file: Path, where: str) -> list[tuple[int, list[str]]]:
    """The cells of each line that is not empty, with its number from 1 on. Cells end with a comma, else with what the
    first line has in its place, a semicolon or a tab. Raises UserError for a file that cannot be read."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        first = text.partition("\n")[0].partition("\r")[0]
        named = {mark: columns_in(next(csv.reader([first], delimiter=mark), [])) for mark in ",;\t"}
        fitting = (mark for mark, columns in named.items() if {"path", "label"} <= {*columns})
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=next(fitting, ","))
        return [(number, line) for number, line in enumerate(reader, start=1) if line]
    except UnicodeDecodeError:
        raise UserError(f"{where} cannot be read: it is no text in UTF-8; expected a CSV file") from None
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{where} cannot be read: {reason}") from None


def columns_in(cells: Sequence[str]) -> list[str]:
    """Names of columns, as they are compared."""
    return [name.strip().lower() for name in cells]


def read_row(line: int, row: Cells, role: Role, file: Path, root: Path) -> Row:
    """The image is sought below the root, else beside the file, and then by a path as Windows writes it."""
    name, label = row["path"].strip(), written(row)
    spellings = dict.fromkeys([name, name.replace("\\", "/")])
    places = [Path(os.path.normpath(folder / text)) for text in spellings for folder in (root, file.parent)]
    path = next((place for place in places if os.path.isfile(place)), places[0])
    return Row(f"line {line}: {shortened(row['path'])}", path, "" if is_unlabelled(label) else label, role)


def check_rows(rows: Sequence[Row], where: str, root: Path) -> None:
    """Raises UserError for images that are missing, and for those that are named twice, however they are spelled."""
    first: dict[str, str] = {}
    missing: list[str] = []
    twice: list[str] = []
    for row in rows:
        if not os.path.isfile(row.path):
            missing.append(row.position)
            continue
        target = os.path.realpath(row.path)
        if target in first:
            twice.append(f"{row.position}, as {first[target].partition(':')[0]}")
        else:
            first[target] = row.position
    messages = []
    for kind, lines in ((f"name no image below {root}", missing), ("name an image again", twice)):
        if lines:
            shown = "; ".join(lines[:NAMED]) + (", ..." if len(lines) > NAMED else "")
            messages.append(f"{where}: {len(lines)} of {len(rows)} rows {kind} ({shown})")
    if messages:
        raise UserError(*messages)
