"""Labels in a table: a CSV file with the columns ``path`` and ``label``, and ``split`` where it has one."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.class_folders import Found

TEST = ("test", "val", "valid", "validation")
NAMED = 3
"""mistakes that a message names one by one"""


@dataclass(frozen=True)
class LabelTable:
    """What the rows of a CSV file say, in their order."""

    train: Found
    test: Found | None
    """where a column ``split`` says test, val, valid or validation; None without such rows"""


def read_table(file: Path, root: Path) -> LabelTable:
    """Paths are relative to ``root``, or to the file's own folder, or absolute. Raises UserError with one line for each
    kind of mistake, and loads no image."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            columns = [name.strip().lower() for name in rows.fieldnames or ()]
            rows.fieldnames = columns
            lines = list(rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"labels={file} cannot be read: {error}") from None
    if "path" not in columns or "label" not in columns:
        given = ", ".join(columns) or "nothing"
        raise UserError(f"labels={file}: its first line names the columns path and label; it has {given}")
    if not lines:
        raise UserError(f"labels={file} has no row below its first line")
    places = [located((line["path"] or "").strip(), root, file.parent) for line in lines]
    check(lines, places, file, root)
    found = [(path, line["label"].strip()) for path, line in zip(places, lines, strict=True)]
    aside = [(line.get("split") or "").strip().lower() in TEST for line in lines]
    parts = [[one for one, out in zip(found, aside, strict=True) if out is side] for side in (False, True)]
    train, test = (Found([path for path, _ in part], [label for _, label in part]) for part in parts)
    if not train.paths:
        raise UserError(f"labels={file}: every row is of the test split; none is left to train on")
    return LabelTable(train, test if test.paths else None)


def located(text: str, root: Path, beside: Path) -> Path:
    inside = root / text
    return beside / text if not inside.is_file() and (beside / text).is_file() else inside


def check(lines: list[dict[str, str]], places: list[Path], file: Path, root: Path) -> None:
    """Raises UserError for images that are not there, rows without a label, and images with two."""
    mistakes = []
    seen: dict[Path, int] = {}
    kinds: dict[str, list[str]] = {"name no image below {root}": [], "have no label": [], "name an image again": []}
    missing, blank, twice = kinds.values()
    for number, (line, path) in enumerate(zip(lines, places, strict=True), start=2):
        if not path.is_file():
            missing.append(f"line {number}: {line['path']}")
        elif not (line["label"] or "").strip():
            blank.append(f"line {number}: {line['path']}")
        elif path in seen:
            twice.append(f"line {number}: {line['path']}, as line {seen[path]}")
        else:
            seen[path] = number
    for what, found in kinds.items():
        if found:
            more = ", ..." if len(found) > NAMED else ""
            what = what.format(root=root)
            mistakes.append(
                f"labels={file}: {len(found)} of {len(lines)} rows {what} ({'; '.join(found[:NAMED])}{more})"
            )
    if mistakes:
        raise UserError(*mistakes)
