"""A folder of your own images: one folder a class, or train/ and test/ with one folder a class in each."""

from __future__ import annotations

import csv
from pathlib import Path

from sslbench import BuildContext, DatasetSpec, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk import class_folders
from sslbench_plugins.blocks.images_on_disk.class_folders import TEST, TRAIN, FolderFiles, FolderParams, LabelledFiles
from sslbench_plugins.blocks.images_on_disk.folders import digest_of, existing_folder, has_folder, stamps, visible
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits

LAYOUT = "expected ROOT/CLASS/IMAGE, or ROOT/train/CLASS/IMAGE and ROOT/test/CLASS/IMAGE"
NAMED = 3
"""mistakes in a table of labels that a message names one by one"""
TableRow = tuple[str, Path, str, bool]
"""line and path as written, path, label, and whether it is of the test split"""


class ImageFolderParams(FolderParams):
    """Which folder, where its labels are, and how many of its images are the test split."""

    root: str = param(..., "the folder", min_length=1)
    labels: str = param("", "a CSV file of path and label, and split if it has one, in the place of class folders")
    test_share: float = param(0.2, "part of each class to evaluate on, where there is no test folder", gt=0, lt=1)


def read_table(file: Path, root: Path) -> FolderFiles:
    """Files with the labels of a CSV file with the columns ``path`` and ``label``, and ``split`` where it has one.
    Paths are relative to ``root``, or to the file's own folder, or absolute. Raises UserError with one line for each
    kind of mistake, and loads no image."""
    rows = read_rows(file, root)
    check_rows(rows, file, root)
    train, test = (
        LabelledFiles([row[1] for row in rows if row[3] is side], [row[2] for row in rows if row[3] is side])
        for side in (False, True)
    )
    if not train.paths:
        raise UserError(f"labels={file}: every row is of the test split; none is left to train on")
    return root, train, test if test.paths else None


def read_rows(file: Path, root: Path) -> list[TableRow]:
    """All rows. Raises UserError for a file that cannot be read, lacks a column, or has no row."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"labels={file} cannot be read: {error}") from None
    if "path" not in columns or "label" not in columns:
        names = ", ".join(columns) or "nothing"
        raise UserError(f"labels={file}: its first line names the columns path and label; it has {names}")
    if not lines:
        raise UserError(f"labels={file} has no row below its first line")
    rows = []
    for line, cells in enumerate(lines, start=2):
        name, label, split = ((cells.get(key) or "").strip() for key in ("path", "label", "split"))
        below, beside = root / name, file.parent / name
        path = beside if not below.is_file() and beside.is_file() else below
        rows.append((f"line {line}: {cells['path'] or ''}", path, label, split.lower() in TEST))
    return rows


def check_rows(rows: list[TableRow], file: Path, root: Path) -> None:
    """Raises UserError for images that are missing, rows without a label, and images with two."""
    first_lines: dict[Path, int] = {}
    mistakes: dict[str, list[str]] = {f"name no image below {root}": [], "have no label": [], "name an image again": []}
    missing, blank, twice = mistakes.values()
    for line, (position, path, label, _) in enumerate(rows, start=2):
        if not path.is_file():
            missing.append(position)
        elif not label:
            blank.append(position)
        elif path in first_lines:
            twice.append(f"{position}, as line {first_lines[path]}")
        else:
            first_lines[path] = line
    messages = []
    for kind, lines in mistakes.items():
        if lines:
            shown = "; ".join(lines[:NAMED]) + (", ..." if len(lines) > NAMED else "")
            messages.append(f"labels={file}: {len(lines)} of {len(rows)} rows {kind} ({shown})")
    if messages:
        raise UserError(*messages)


def folder_files(params: ImageFolderParams) -> FolderFiles:
    """The files of the folder. Raises UserError for one that is not laid out as expected."""
    root = existing_folder(params.root, "imagefolder", LAYOUT)
    if not params.labels:
        return split_folders(root)
    files = read_table(Path(params.labels).expanduser(), root)
    stray = class_folders.class_without_training(*files[1:])
    if stray is not None:
        raise UserError(f"imagefolder: labels={params.labels} has class {stray!r} in its test split alone")
    return files


def split_folders(root: Path) -> FolderFiles:
    """Files with their folders for labels."""
    folders = {item.name.lower(): item for item in visible(root) if item.is_dir()}
    train_folder = next((folders[name] for name in TRAIN if name in folders), None)
    candidates = [folders[name] for name in TEST if name in folders]
    # A test folder without classes holds images without labels: val/ is then the one to evaluate on.
    test_folder = next((item for item in candidates if has_folder(item)), candidates[0] if candidates else None)
    if train_folder is None and folders and set(folders) <= set(TEST):
        names = " and ".join(sorted(folders))
        raise UserError(f"imagefolder: {root} has {names} but no folder train; {LAYOUT}")
    if train_folder is None or (test_folder is None and not has_folder(train_folder)):
        return root, class_folders.class_files(root, "imagefolder", LAYOUT), None
    test = class_folders.class_files(test_folder, "imagefolder", LAYOUT) if test_folder else None
    train = class_folders.class_files(train_folder, "imagefolder", LAYOUT)
    stray = class_folders.class_without_training(train, test)
    if stray is not None:
        raise UserError(f"imagefolder: {test_folder} has class {stray!r}, which {train_folder} does not have")
    return root, train, test


def build(params: ImageFolderParams, context: BuildContext) -> TwoSplits:
    files = folder_files(params)
    return class_folders.two_splits("imagefolder", f"imagefolder {files[0]}", files, params, params.test_share)


def fingerprint(params: ImageFolderParams) -> str:
    """Digest of names, sizes and times of change, and of labels in a table; no image is read."""
    root, train, test = folder_files(params)
    lines = stamps(train.paths + (test.paths if test else []), root)
    if params.labels:
        lines += [*train.labels, *(["", *test.labels] if test else [])]
    return digest_of(lines)


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [DatasetSpec(name="imagefolder", params=ImageFolderParams, build=build, fingerprint=fingerprint)]
