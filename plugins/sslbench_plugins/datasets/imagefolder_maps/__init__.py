"""A folder of your own images with a map for each: classes of pixels in masks/, depth in depth/, or both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sslbench import BuildContext, DatasetSpec, UserError, hookimpl
from sslbench_plugins.blocks.images_on_disk.class_folders import TEST, TRAIN, check_every_class, class_without_training
from sslbench_plugins.blocks.images_on_disk.folders import digest_of, existing_folder, visible
from sslbench_plugins.blocks.images_on_disk.held_out import held_out
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.datasets.imagefolder_maps.map_folder import (
    FOLDERS,
    IMAGES,
    LAYOUT,
    ImageFolderMapsParams,
    MappedFiles,
    mapped_files,
)


@dataclass(frozen=True)
class FolderFiles:
    """What the folder holds."""

    root: Path
    train: MappedFiles
    test: MappedFiles | None
    """None where the folder has no test split of its own"""

    def splits(self, test_share: float) -> tuple[MappedFiles, MappedFiles]:
        """Training and test files; where the folder has no test split, that share of each class is held out."""
        if self.test is not None:
            return self.train, self.test
        classes, files = self.train.classes, self.train.files
        names = [path.relative_to(self.root).as_posix() for path in files.paths]
        labels = [classes.index(label) if classes else 0 for label in files.labels]
        train, test = held_out(names, labels, test_share)
        return self.train.only(train), self.train.only(test)


def folder_files(params: ImageFolderMapsParams) -> FolderFiles:
    """The files of the folder. Raises UserError for one that is not laid out as expected."""
    root = existing_folder(params.root, "imagefolder-maps", LAYOUT)
    folders = {item.name.lower(): item for item in visible(root) if item.is_dir()}
    if IMAGES in folders:
        return FolderFiles(root, mapped_files(root), None)
    train_folder, test_folder = (next((folders[n] for n in names if n in folders), None) for names in (TRAIN, TEST))
    if train_folder is None:
        raise UserError(f"imagefolder-maps: {root} has no folder {IMAGES} and no folder train; {LAYOUT}")
    train, test = mapped_files(train_folder), mapped_files(test_folder) if test_folder else None
    if test is not None:
        check_alike(train, test)
    return FolderFiles(root, train, test)


def check_alike(train: MappedFiles, test: MappedFiles) -> None:
    """Raises UserError where one split has maps that the other lacks, or the test split has classes of its own."""
    train_folder, test_folder = train.folder.parent, test.folder.parent
    for name, below in FOLDERS.items():
        if (name in train.maps) != (name in test.maps):
            has, lacks = (train_folder, test_folder) if name in train.maps else (test_folder, train_folder)
            raise UserError(f"imagefolder-maps: {has} has {below} and {lacks} has not")
    stray = class_without_training(train.files, test.files)
    if stray is not None:
        raise UserError(f"imagefolder-maps: {test_folder} has class {stray!r}, which {train_folder} does not have")


def build(params: ImageFolderMapsParams, context: BuildContext) -> TwoSplits:
    """The folder's own splits, or a fixed share of the images, by a hash of the name, as the test split."""
    files = folder_files(params)
    classes, where = files.train.classes, f"imagefolder-maps {files.root}"
    train_files, test_files = files.splits(params.test_share)
    train, sums = train_files.read(classes, params, where)
    check_every_class(train.labels, classes, "imagefolder-maps")
    return TwoSplits(train, lambda: test_files.read(classes, params, where)[0], classes, sums)


def fingerprint(params: ImageFolderMapsParams) -> str:
    """Digest of names, sizes and times of change; no file is opened."""
    files = folder_files(params)
    return digest_of(files.train.stamps(files.root) + (files.test.stamps(files.root) if files.test else []))


def provides(params: ImageFolderMapsParams) -> frozenset[str]:
    """The maps that lie there, and labels where there are class folders."""
    train = folder_files(params).train
    return frozenset(train.maps) | ({"labels"} if train.classes else set())


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    """The data set."""
    return [
        DatasetSpec(
            name="imagefolder-maps",
            params=ImageFolderMapsParams,
            build=build,
            fingerprint=fingerprint,
            provides=provides,
        )
    ]
