"""Images of one folder with their maps: where they lie, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from sslbench import Split, UserError, param
from sslbench_plugins.blocks.images_on_disk.class_folders import FolderParams, LabelledFiles
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.folders import has_folder, is_image, walk
from sslbench_plugins.blocks.images_on_disk.reading import read
from sslbench_plugins.datasets.imagefolder_maps.map_files import (
    UNKNOWN,
    MapFiles,
    MapValues,
    beside,
    check_sizes,
    class_values,
    depth_values,
)

IMAGES = "images"
FOLDERS = {"mask": "masks", "depth": "depth"}
"""map -> the folder it lies in"""
LAYOUT = (
    "expected ROOT/images, and ROOT/masks or ROOT/depth with a map of the same name for each image; or ROOT/train and"
    " ROOT/test with these in each"
)
CHECKED = 16
"""masks whose values are checked before a run begins"""


class ImageFolderMapsParams(FolderParams):
    """Which folder, how many of its images are the test split, and which value of a mask is no class."""

    root: str = param(..., "the folder", min_length=1)
    test_share: float = param(0.2, "part of the images to evaluate on, where there is no test folder", gt=0, lt=1)
    unknown: int = param(
        UNKNOWN, "value of mask pixels whose class is unknown and that are not scored; -1: none", ge=-1, le=255
    )


@dataclass(frozen=True)
class MappedFiles:
    """Images of one folder with their maps, in one order."""

    folder: Path
    files: LabelledFiles
    """images, and the class folder of each; empty words without class folders"""
    maps: dict[str, list[Path]]
    """``mask``, ``depth`` or both -> a file for each image"""

    @property
    def classes(self) -> list[str]:
        """Names of the class folders, sorted; empty without them."""
        return sorted(set(self.files.labels) - {""})

    def only(self, indices: Sequence[int]) -> MappedFiles:
        """Some of the images, with their maps."""
        maps = {name: [paths[index] for index in indices] for name, paths in self.maps.items()}
        return MappedFiles(self.folder, self.files.only(indices), maps)

    def stamps(self, root: Path) -> list[str]:
        """Name, size and time of change of every image and map."""
        every = [self.files, *(LabelledFiles(paths, []) for paths in self.maps.values())]
        return [line for files in every for line in files.stamps(root)]

    def read(self, classes: Sequence[str], params: ImageFolderMapsParams, where: str) -> tuple[Split, Tensor]:
        """The split as ``params`` wants it read, and the ``channel_sums`` of its images."""
        paths = self.files.paths
        names = [str(path.relative_to(self.folder)) for path in paths]
        key = [str(self.folder.resolve()), *self.files.stamps(self.folder)]
        result = read(Encoded(paths, names, params.size, where), params, key)
        kept = self.only(result.kept)
        labels = torch.tensor([classes.index(label) for label in kept.files.labels]) if classes else None
        shown = [str(path) for path in kept.files.paths]
        skipped = len(paths) - len(shown)
        split = Split(result.images, labels, paths=shown, skipped=skipped, maps=kept.map_readers(params, where))
        return split, result.sums

    def map_readers(self, params: ImageFolderMapsParams, where: str) -> dict[str, MapFiles]:
        """Readers of the maps. Raises UserError for maps that do not fit their images, or whose values do not fit."""
        readers = {}
        for name, paths in self.maps.items():
            check_sizes(self.files.paths, paths, where)
            readers[name] = MapFiles(paths, values_of(name, params), params.size, where)
        if "mask" in readers:
            check_values(readers["mask"], where)
        return readers


def values_of(name: str, params: ImageFolderMapsParams) -> Callable[[Image.Image], MapValues]:
    """An opened file of a map -> its values."""
    return (lambda image: class_values(image, params.unknown)) if name == "mask" else depth_values


def check_values(masks: MapFiles, where: str) -> None:
    """Raises UserError where black and white were meant: 255 would then be unknown."""
    values = set(torch.unique(masks[torch.arange(min(CHECKED, len(masks)))]).tolist())
    if values == {0, UNKNOWN}:
        raise UserError(
            f"{where}: masks hold 0 and {UNKNOWN} alone, and unknown={UNKNOWN} says that the class of the second is"
            " unknown; unknown=-1 makes it a class"
        )


def mapped_files(folder: Path) -> MappedFiles:
    """The images below ``folder/images`` and their maps. Raises UserError for a folder that is not laid out so."""
    images = folder / IMAGES
    paths = [path for path in walk(images) if is_image(path)]
    if not paths:
        raise UserError(f"imagefolder-maps: {images} holds no image; {LAYOUT}")
    loose = [path for path in paths if path.parent == images]
    if loose and has_folder(images) and len(loose) < len(paths):
        raise UserError(
            f"imagefolder-maps: {images} holds {len(loose)} images and folders with {len(paths) - len(loose)} more;"
            " put all into folders, one for each class, or none"
        )
    labels = [path.relative_to(images).parts[0] if not loose else "" for path in paths]
    maps = {
        name: beside(paths, images, folder / below, "imagefolder-maps")
        for name, below in FOLDERS.items()
        if (folder / below).is_dir()
    }
    if not maps:
        raise UserError(f"imagefolder-maps: {folder} has neither {' nor '.join(FOLDERS.values())}; {LAYOUT}")
    return MappedFiles(images, LabelledFiles(paths, labels), maps)
