"""A folder of your own images: one folder a class, or train/ and test/ with one folder a class in each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sslbench import BuildContext, DatasetSpec, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.class_folders import (
    TEST,
    TRAIN,
    FolderParams,
    LabelledFiles,
    check_every_class,
    class_files,
    class_without_training,
)
from sslbench_plugins.blocks.images_on_disk.folders import digest_of, existing_folder, has_folder, name_below, visible
from sslbench_plugins.blocks.images_on_disk.held_out import held_out
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.datasets.imagefolder.label_table import read_table

LAYOUT = "expected ROOT/CLASS/IMAGE, or ROOT/train/CLASS/IMAGE and ROOT/test/CLASS/IMAGE"


class ImageFolderParams(FolderParams):
    """Which folder, where its labels are, and how many of its images are the test split."""

    root: str = param(..., "the folder", min_length=1)
    labels: str = param("", "a CSV file of path and label, and split if it has one, in the place of class folders")
    test_share: float = param(0.2, "part of each class to evaluate on, where there is no test folder", gt=0, lt=1)


@dataclass(frozen=True)
class FolderFiles:
    """What the folder holds."""

    root: Path
    train: LabelledFiles
    test: LabelledFiles | None
    """None where the folder has no test split of its own"""

    def splits(self, test_share: float) -> tuple[LabelledFiles, LabelledFiles]:
        """Training and test files; where the folder has no test split, that share of each class is held out."""
        if self.test is not None:
            return self.train, self.test
        classes = sorted(set(self.train.labels))
        names = [Path(name_below(path, self.root)).as_posix() for path in self.train.paths]
        labels = [classes.index(label) for label in self.train.labels]
        train, test = held_out(names, labels, test_share)
        return self.train.only(train), self.train.only(test)


def folder_files(params: ImageFolderParams) -> FolderFiles:
    """The files of the folder. Raises UserError for one that is not laid out as expected."""
    root = existing_folder(params.root, "imagefolder", LAYOUT)
    return table_files(root, params.labels) if params.labels else split_folders(root)


def table_files(root: Path, labels: str) -> FolderFiles:
    """Files with the labels of a table."""
    table = read_table(Path(labels).expanduser(), root)
    stray = class_without_training(table.train, table.test)
    if stray is not None:
        raise UserError(f"imagefolder: labels={labels} has class {stray!r} in its test split alone")
    return FolderFiles(root, table.train, table.test)


def split_folders(root: Path) -> FolderFiles:
    """Files with their folders for labels."""
    folders = {item.name.lower(): item for item in visible(root) if item.is_dir()}
    train_folder = next((folders[name] for name in TRAIN if name in folders), None)
    candidates = [folders[name] for name in TEST if name in folders]
    # A test folder without classes holds images without labels: val/ is then the one to evaluate on.
    test_folder = next((item for item in candidates if has_folder(item)), candidates[0] if candidates else None)
    if train_folder is None and folders and set(folders) <= set(TEST):
        given = " and ".join(sorted(folders))
        raise UserError(f"imagefolder: {root} has {given} but no folder train; {LAYOUT}")
    if train_folder is None or (test_folder is None and not has_folder(train_folder)):
        return FolderFiles(root, class_files(root, "imagefolder", LAYOUT), None)
    test = class_files(test_folder, "imagefolder", LAYOUT) if test_folder else None
    train = class_files(train_folder, "imagefolder", LAYOUT)
    stray = class_without_training(train, test)
    if stray is not None:
        raise UserError(f"imagefolder: {test_folder} has class {stray!r}, which {train_folder} does not have")
    return FolderFiles(root, train, test)


def build(params: ImageFolderParams, context: BuildContext) -> TwoSplits:
    """The folder's own splits, or a fixed share of each class, by a hash of the name, as the test split."""
    files = folder_files(params)
    root, classes, where = files.root, sorted(set(files.train.labels)), f"imagefolder {files.root}"
    train_files, test_files = files.splits(params.test_share)
    train, sums = train_files.read(root, classes, params, where)
    check_every_class(train.labels, classes, "imagefolder")
    return TwoSplits(train, lambda: test_files.read(root, classes, params, where)[0], classes, sums)


def fingerprint(params: ImageFolderParams) -> str:
    """Digest of names, sizes and times of change, and of labels in a table; no image is read."""
    files = folder_files(params)
    root, train, test = files.root, files.train, files.test
    lines = train.stamps(root) + (test.stamps(root) if test else [])
    if params.labels:
        lines += [*train.labels, *(["", *test.labels] if test else [])]
    return digest_of(lines)


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    """The data set."""
    return [DatasetSpec(name="imagefolder", params=ImageFolderParams, build=build, fingerprint=fingerprint)]
