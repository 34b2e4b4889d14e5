"""A folder of your own images with a map for each: classes of pixels in masks/, depth in depth/, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from sslbench import BuildContext, DatasetSpec, ImageReader, PathText, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk import class_folders, folders
from sslbench_plugins.blocks.images_on_disk.class_folders import FolderFiles, FolderParams, LabelledFiles
from sslbench_plugins.blocks.images_on_disk.class_names import check_different
from sslbench_plugins.blocks.images_on_disk.splits import split_names, unknown_split
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.datasets.imagefolder_maps import map_files
from sslbench_plugins.datasets.imagefolder_maps.map_files import UNKNOWN

IMAGES = "images"
FOLDERS = {"mask": "masks", "depth": "depth"}
"""map -> the folder it lies in"""
LAYOUT = (
    "expected ROOT/images, and ROOT/masks or ROOT/depth with a map of the same name for each image; or ROOT/train and"
    " ROOT/test with these in each"
)


class MapsParams(FolderParams):
    """Which folder, how many of its images are the test split, and which value of a mask is no class."""

    root: PathText = param(..., "the folder", min_length=1)
    test_share: float = param(0.2, "part of the images to evaluate on, where there is no test folder", gt=0, lt=1)
    unknown: int = param(
        UNKNOWN, "value of mask pixels whose class is unknown and that are not scored; -1: none", ge=-1, le=255
    )


@dataclass(frozen=True)
class MappedFiles(LabelledFiles):
    """Images of one folder with their maps, in one order."""

    folder: Path
    maps: dict[str, list[Path]]
    """``mask``, ``depth`` or both -> a file for each image"""
    unknown: int
    """value of mask pixels whose class is unknown"""

    def only(self, indices: Sequence[int]) -> Self:
        maps = {name: [paths[index] for index in indices] for name, paths in self.maps.items()}
        return replace(super().only(indices), maps=maps)

    @property
    def files(self) -> list[Path]:
        """Images and maps."""
        return [path for paths in (self.paths, *self.maps.values()) for path in paths]

    def map_readers(self, size: int, where: str) -> dict[str, ImageReader]:
        """``mask``, ``depth`` or both. Raises UserError for maps or values that do not fit their images."""
        readers: dict[str, ImageReader] = {}
        for name, paths in self.maps.items():
            map_files.check_sizes(self.paths, paths, where)
            mask_values = partial(map_files.class_values, unknown=self.unknown)
            values = mask_values if name == "mask" else map_files.depth_values
            readers[name] = map_files.MapFiles(paths, values, size, where)
        if "mask" in readers:
            map_files.check_values(readers["mask"], where)
        return readers


def mapped_files(folder: Path, unknown: int) -> MappedFiles:
    """The images below ``folder/images`` and their maps. Raises UserError for a folder that is not laid out so."""
    images = folder / IMAGES
    paths = [path for path in folders.walk(images) if folders.is_image(path)]
    if not paths:
        raise UserError(f"imagefolder-maps: {images} holds no image; {LAYOUT}")
    loose = [path for path in paths if path.parent == images]
    if loose and folders.has_folder(images) and len(loose) < len(paths):
        raise UserError(
            f"imagefolder-maps: {images} holds {len(loose)} images and folders with {len(paths) - len(loose)} more;"
            " put all into folders, one for each class, or none"
        )
    labels = [path.relative_to(images).parts[0] if not loose else "" for path in paths]
    maps = {
        name: map_files.beside(paths, images, folder / below, "imagefolder-maps")
        for name, below in FOLDERS.items()
        if (folder / below).is_dir()
    }
    if not maps:
        raise UserError(f"imagefolder-maps: {folder} has neither {' nor '.join(FOLDERS.values())}; {LAYOUT}")
    return MappedFiles(paths, labels, images, maps, unknown)


def folder_files(params: MapsParams) -> FolderFiles:
    """Training files, and test files, None where the folder has no test split of its own. Raises UserError for a folder
    that is not laid out as expected."""
    root = folders.existing_folder(params.root, "imagefolder-maps", LAYOUT)
    parts = {item.name: item for item in folders.visible(root) if item.is_dir()}
    where = f"imagefolder-maps: {root}"
    names = split_names(where, list(parts))
    if "train" in names.roles and names.near:
        raise unknown_split(where, names.near)
    if IMAGES in parts and names.roles:
        raise UserError(f"{where} has {IMAGES} beside {' and '.join(names.roles.values())}; keep one of them")
    if IMAGES in parts:
        train, test = mapped_files(root, params.unknown), None
    elif "train" not in names.roles:
        raise UserError(f"{where} has no folder {IMAGES} and no folder train; {LAYOUT}")
    else:
        train = mapped_files(parts[names.roles["train"]], params.unknown)
        test = mapped_files(parts[names.tests[0]], params.unknown) if names.tests else None
    check_different([*train.labels, *(test.labels if test else [])], where)
    if test is not None:
        check_alike(train, test)
    unused = names.tests[1:]
    return FolderFiles(root, train, test, partial(others, root, train.files + (test.files if test else []), unused))


def others(root: Path, used: Sequence[Path], unused: Sequence[str]) -> Mapping[str, int]:
    """Why -> files that are no image or map of a split; ``unused``: folders of splits that are not read."""

    def reason(path: Path) -> str:
        first = path.relative_to(root).parts[0]
        return f"split {first}, not used" if first in unused else "beside the images and their maps"

    return folders.count_others(root, used, reason)


def check_alike(train: MappedFiles, test: MappedFiles) -> None:
    """Raises UserError where one split has maps that the other lacks, or the test split has classes of its own."""
    train_folder, test_folder = train.folder.parent, test.folder.parent
    for name, below in FOLDERS.items():
        if (name in train.maps) != (name in test.maps):
            has, lacks = (train_folder, test_folder) if name in train.maps else (test_folder, train_folder)
            raise UserError(f"imagefolder-maps: {has} has {below} and {lacks} has not")
    stray = class_folders.class_without_training(train, test, f"imagefolder-maps: {train_folder.parent}")
    if stray is not None:
        raise UserError(f"imagefolder-maps: {test_folder} has class {stray!r}, which {train_folder} does not have")


def build(params: MapsParams, context: BuildContext) -> TwoSplits:
    files = folder_files(params)
    where = f"imagefolder-maps {files.root}"
    return class_folders.two_splits("imagefolder-maps", where, files, params, params.test_share)


def fingerprint(params: MapsParams) -> str:
    """Digest of names, sizes and times of change; no file is opened."""
    return folders.digest_of(folder_files(params).stamps)


def provides(params: MapsParams) -> frozenset[str]:
    """The maps that lie there, and labels where there are class folders."""
    train = folder_files(params).train
    maps = frozenset(train.maps) if isinstance(train, MappedFiles) else frozenset()
    return maps | ({"labels"} if any(train.labels) else set())


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(name="imagefolder-maps", params=MapsParams, build=build, fingerprint=fingerprint, provides=provides)
    ]
