"""A folder of your own images with a map for each: classes of pixels in masks/, depth in depth/, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslbench import BuildContext, DatasetSpec, Split, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.class_folders import (
    FolderParams,
    Found,
    has_folder,
    is_image,
    visible,
    walk,
)
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.held_out import held_out
from sslbench_plugins.blocks.images_on_disk.reading import read
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.datasets.imagefolder_maps.map_files import (
    UNKNOWN,
    MapFiles,
    beside,
    check_sizes,
    class_values,
    depth_values,
)

IMAGES = "images"
FOLDERS = {"mask": "masks", "depth": "depth"}
"""map -> the folder it lies in"""
TRAIN = ("train", "training")
TEST = ("test", "val", "valid", "validation")
LAYOUT = (
    "expected ROOT/images, and ROOT/masks or ROOT/depth with a map of the same name for each image; or ROOT/train and"
    " ROOT/test with these in each"
)
LOOKED_AT = 16
"""masks whose values are looked at before a run begins"""


class ImageFolderMapsParams(FolderParams):
    root: str = param(..., "the folder", min_length=1)
    test_share: float = param(0.2, "part of the images to judge on, where there is no test folder", gt=0, lt=1)
    unknown: int = param(
        UNKNOWN, "value of mask pixels that nobody knows and that are not scored; -1: none", ge=-1, le=255
    )


@dataclass(frozen=True)
class Part:
    """Images of one folder with their maps, in one order."""

    folder: Path
    found: Found
    """files, and the class folder of each; empty words without class folders"""
    maps: dict[str, list[Path]]

    def only(self, places: Sequence[int]) -> Part:
        maps = {name: [paths[place] for place in places] for name, paths in self.maps.items()}
        return Part(self.folder, self.found.only(places), maps)

    def stamps(self, root: Path) -> list[str]:
        everything = [self.found, *(Found(paths, []) for paths in self.maps.values())]
        return [line for one in everything for line in one.stamps(root)]

    def split(self, classes: Sequence[str], params: ImageFolderMapsParams, where: str) -> tuple[Split, Tensor]:
        """The images and maps as ``params`` wants them read, and the images' channel sums."""
        paths = self.found.paths
        names = [str(path.relative_to(self.folder)) for path in paths]
        key = [str(self.folder.resolve()), *self.found.stamps(self.folder)]
        done = read(Encoded(paths, names, params.size, where), params, key)
        kept = self.only(done.kept)
        readers: dict[str, Any] = {}
        for name, files in kept.maps.items():
            check_sizes(kept.found.paths, files, where)
            readers[name] = MapFiles(files, values_of(name, params), params.size, where)
        if "mask" in readers:
            check_values(readers["mask"], where)
        labels = torch.tensor([classes.index(label) for label in kept.found.labels]) if classes else None
        shown = [str(path) for path in kept.found.paths]
        split = Split(done.images, labels, paths=shown, skipped=len(paths) - len(shown), maps=readers)
        return split, done.sums


def values_of(name: str, params: ImageFolderMapsParams) -> Callable[[Any], np.ndarray]:
    return (lambda image: class_values(image, params.unknown)) if name == "mask" else depth_values


def check_values(masks: MapFiles, where: str) -> None:
    """Raises UserError where black and white were meant: 255 would then be what nobody knows."""
    values = set(masks[torch.arange(min(LOOKED_AT, len(masks)))].unique().tolist())
    if values == {0, UNKNOWN}:
        raise UserError(
            f"{where}: masks hold 0 and {UNKNOWN} alone, and unknown={UNKNOWN} says that nobody knows the second;"
            " unknown=-1 makes it a class"
        )


def part_of(folder: Path) -> Part:
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
        name: beside(paths, images, folder / place, "imagefolder-maps")
        for name, place in FOLDERS.items()
        if (folder / place).is_dir()
    }
    if not maps:
        raise UserError(f"imagefolder-maps: {folder} has neither {' nor '.join(FOLDERS.values())}; {LAYOUT}")
    return Part(images, Found(paths, labels), maps)


def find(params: ImageFolderMapsParams) -> tuple[Path, Part, Part | None]:
    """The root, what to train on, and what to judge on where the folder says so. Raises UserError for a folder that is
    not laid out so."""
    root = Path(params.root).expanduser()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise UserError(f"imagefolder-maps: root={params.root} {what}; {LAYOUT}")
    folders = {item.name.lower(): item for item in visible(root) if item.is_dir()}
    if IMAGES in folders:
        return root, part_of(root), None
    train, test = (next((folders[n] for n in names if n in folders), None) for names in (TRAIN, TEST))
    if train is None:
        raise UserError(f"imagefolder-maps: {root} has no folder {IMAGES} and no folder train; {LAYOUT}")
    found, judged = part_of(train), part_of(test) if test else None
    if judged is not None:
        check_alike(found, judged, train, test)
    return root, found, judged


def check_alike(found: Part, judged: Part, train: Path, test: Path | None) -> None:
    for name, place in FOLDERS.items():
        if (name in found.maps) != (name in judged.maps):
            has, lacks = (train, test) if name in found.maps else (test, train)
            raise UserError(f"imagefolder-maps: {has} has {place} and {lacks} has not")
    unknown = sorted(set(judged.found.labels) - set(found.found.labels))
    if unknown:
        raise UserError(f"imagefolder-maps: {test} has class {unknown[0]!r}, which {train} does not have")


def classes_of(part: Part) -> list[str]:
    return sorted(set(part.found.labels) - {""})


def build(params: ImageFolderMapsParams, context: BuildContext) -> TwoSplits:
    root, found, judged = find(params)
    classes = classes_of(found)
    if judged is None:
        names = [path.relative_to(root).as_posix() for path in found.found.paths]
        numbers = [classes.index(label) if classes else 0 for label in found.found.labels]
        aside = held_out(names, numbers, params.test_share)
        judged = found.only([place for place, out in enumerate(aside) if out])
        found = found.only([place for place, out in enumerate(aside) if not out])
    where = f"imagefolder-maps {root}"
    train, sums = found.split(classes, params, where)
    lost = set(range(len(classes))) - set([] if train.labels is None else train.labels.tolist())
    if lost:
        raise UserError(f"imagefolder-maps: class {classes[min(lost)]!r} has no image to train on that can be read")
    return TwoSplits(train, lambda: judged.split(classes, params, where)[0], classes, sums)


def fingerprint(params: ImageFolderMapsParams) -> str:
    """Digest of names, sizes and times of change; no file is opened."""
    root, train, test = find(params)
    digest = blake2b(digest_size=8)
    for line in train.stamps(root) + (test.stamps(root) if test else []):
        digest.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def provides(params: ImageFolderMapsParams) -> frozenset[str]:
    _, train, _ = find(params)
    return frozenset(train.maps) | ({"labels"} if classes_of(train) else set())


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="imagefolder-maps",
            summary=__doc__.partition("\n")[0],
            params=ImageFolderMapsParams,
            build=build,
            fingerprint=fingerprint,
            provides=provides,
        )
    ]
