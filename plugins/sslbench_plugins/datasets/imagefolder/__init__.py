"""A folder of your own images: one folder a class, or train/ and test/ with one folder a class in each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sslbench import BuildContext, DatasetSpec, PathText, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk import class_folders
from sslbench_plugins.blocks.images_on_disk.class_folders import FolderFiles, FolderParams, LabelledFiles
from sslbench_plugins.blocks.images_on_disk.class_names import check_different
from sslbench_plugins.blocks.images_on_disk.folders import (
    count_others,
    digest_of,
    existing_folder,
    has_folder,
    visible,
)
from sslbench_plugins.blocks.images_on_disk.splits import SplitNames, resembled, split_names, unknown_split
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.datasets.imagefolder.table import read_table

LAYOUT = "expected ROOT/CLASS/IMAGE, or ROOT/train/CLASS/IMAGE and ROOT/test/CLASS/IMAGE"


class ImageFolderParams(FolderParams):
    """Which folder, where its labels are, and how many of its images are the test split."""

    root: PathText = param(..., "the folder", min_length=1)
    labels: PathText = param("", "a CSV file of path and label, and split if it has one, in the place of class folders")
    test_share: float = param(0.2, "part of each class to evaluate on, where there is no test folder", gt=0, lt=1)


def folder_files(params: ImageFolderParams) -> FolderFiles:
    """The files of the folder. Raises UserError for one that is not laid out as expected."""
    root = existing_folder(params.root, "imagefolder", LAYOUT)
    return read_table(Path(os.path.expanduser(params.labels)), root) if params.labels else split_folders(root)


def split_folders(root: Path) -> FolderFiles:
    """Files with their folders for labels."""
    folders = {item.name: item for item in visible(root) if item.is_dir()}
    where = f"imagefolder: {root}"
    names = split_names(where, list(folders))
    if names.tests and "train" not in names.roles:
        held = " and ".join(sorted(names.roles.values()))
        raise UserError(f"{where} has {held} but no folder train; {LAYOUT}; a class cannot have the name of a split")
    candidates = [folders[name] for name in names.tests]
    if not names.roles or (not candidates and names.others and not has_folder(folders[names.roles["train"]])):
        if names.roles and any(resembled(name) != "train" for name in names.near):
            raise unknown_split(where, names.near)
        files = class_folders.class_files(root, "imagefolder", LAYOUT)
        check_different(files.labels, where)
        return FolderFiles(root, files, None, partial(others, root, [files], names, None))
    if names.near:
        raise unknown_split(where, names.near)
    train = class_folders.class_files(folders[names.roles["train"]], "imagefolder", LAYOUT)
    # A test folder without classes holds images without labels: val/ is then the one to evaluate on.
    test_folder = next((item for item in candidates if has_folder(item)), candidates[0] if candidates else None)
    test = class_folders.class_files(test_folder, "imagefolder", LAYOUT) if test_folder else None
    stray = class_folders.class_without_training(train, test, f"imagefolder: {root}")
    if stray is not None:
        train_folder = folders[names.roles["train"]]
        raise UserError(f"imagefolder: {test_folder} has class {stray!r}, which {train_folder} does not have")
    return FolderFiles(root, train, test, partial(others, root, [train, *([test] if test else [])], names, test_folder))


def others(root: Path, parts: list[LabelledFiles], names: SplitNames, used: Path | None) -> Mapping[str, int]:
    """Why -> files below the root that are in no split; ``used``: the folder that is evaluated on."""

    def reason(path: Path) -> str:
        first = path.relative_to(root).parts[0]
        if first in names.tests and (used is None or first != used.name):
            return f"split {first}, not used"
        beside = first in names.others and path.parent != root
        return f"in {first}, beside the splits" if beside else "outside the class folders"

    return count_others(root, [path for files in parts for path in files.paths], reason)


def build(params: ImageFolderParams, context: BuildContext) -> TwoSplits:
    files = folder_files(params)
    return class_folders.two_splits("imagefolder", f"imagefolder {files.root}", files, params, params.test_share)


def fingerprint(params: ImageFolderParams) -> str:
    """Digest of names, sizes and times of change, and of labels in a table; no image is read."""
    files = folder_files(params)
    labels = [*files.train.labels, *(["", *files.test.labels] if files.test else [])] if params.labels else []
    return digest_of(files.stamps + labels)


def provides(params: ImageFolderParams) -> frozenset[str]:
    """Labels, where there is a table of them or a folder for a class."""
    root = existing_folder(params.root, "imagefolder", LAYOUT)
    return frozenset({"labels"} if params.labels or has_folder(root) else ())


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="imagefolder", params=ImageFolderParams, build=build, fingerprint=fingerprint, provides=provides
        )
    ]
