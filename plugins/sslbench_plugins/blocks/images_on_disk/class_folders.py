"""Images with a class for each, such as one folder a class, and a fixed share of each held out as the test split."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from sslbench import ImageReader, Split, UserError, param
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.folders import SUFFIXES, is_image, name_below, stamps, visible, walk
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams, read
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits

TRAIN = ("train", "training")
TEST = ("test", "val", "valid", "validation")
"""names of folders and splits"""


class FolderParams(ReadingParams):
    """How the files of a folder are read."""

    size: int = param(64, "side to which images are resized and centre-cropped when read", ge=4, unit="px")


@dataclass(frozen=True)
class LabelledFiles:
    """Files of one split, and the class of each; empty words without classes."""

    paths: list[Path]
    labels: list[str]

    def only(self, indices: Sequence[int]) -> Self:
        """Some of the files."""
        return replace(self, paths=[self.paths[i] for i in indices], labels=[self.labels[i] for i in indices])

    def held_out(self, root: Path, share: float) -> tuple[Self, Self]:
        """Training and test files, ``share`` of each class in the test split."""
        names = [Path(name_below(path, root)).as_posix() for path in self.paths]
        train, test = held_out(names, self.labels, share)
        return self.only(train), self.only(test)

    def read(self, root: Path, classes: Sequence[str], params: FolderParams, where: str) -> tuple[Split, Tensor]:
        """The split as ``params`` wants it read, labels by the order of ``classes``; and its ``channel_sums``."""
        names, key = [name_below(path, root) for path in self.paths], [str(root.resolve()), *stamps(self.paths, root)]
        result = read(Encoded(self.paths, names, params.size, where), params, key)
        numbers = {name: number for number, name in enumerate(classes)}
        files = self.only(result.kept)
        labels = torch.tensor([numbers[label] for label in files.labels], dtype=torch.int64) if classes else None
        paths, skipped = [str(path) for path in files.paths], len(self.paths) - len(files.paths)
        maps = files.map_readers(params.size, where)
        return Split(result.images, labels, paths=paths, skipped=skipped, maps=maps), result.sums

    def map_readers(self, size: int, where: str) -> dict[str, ImageReader]:
        """Readers of the maps that lie beside the images, by name: none."""
        return {}


FolderFiles = tuple[Path, LabelledFiles, LabelledFiles | None]
"""the root, training files, and test files, None where the folder has no test split of its own"""


def class_files(folder: Path, where: str, layout: str) -> LabelledFiles:
    """Every image below every class folder. Raises UserError for a class without an image, and for a folder without a
    class."""
    classes = [item for item in visible(folder) if item.is_dir()]
    if not classes:
        loose = sum(is_image(item) for item in visible(folder))
        what = f"has {loose} images but no folder for a class" if loose else "has no folder with images in it"
        raise UserError(f"{where}: {folder} {what}; {layout}")
    files = LabelledFiles([], [])
    for item in classes:
        images = [path for path in walk(item) if is_image(path)]
        if not images:
            raise UserError(f"{where}: class folder {item} holds no image (endings: {' '.join(sorted(SUFFIXES))})")
        files.paths.extend(images)
        files.labels.extend([item.name] * len(images))
    return files


def class_without_training(train: LabelledFiles, test: LabelledFiles | None) -> str | None:
    """A class of the test split that the training split lacks, the first by name; None where there is none."""
    return min(set(test.labels) - set(train.labels), default=None) if test else None


def two_splits(dataset: str, where: str, folder: FolderFiles, params: FolderParams, share: float) -> TwoSplits:
    """The folder's own splits, or that share of each class of ``files``, by a hash of the name, as the test split.
    ``where`` names the data set in messages. Raises UserError for a class of which no training image could be read."""
    root, files, test = folder
    classes = sorted(set(files.labels) - {""})
    train_files, test_files = (files, test) if test else files.held_out(root, share)
    train, sums = train_files.read(root, classes, params, where)
    lost = set(range(len(classes))) - set([] if train.labels is None else train.labels.tolist())
    if lost:
        raise UserError(f"{dataset}: class {classes[min(lost)]!r} has no image to train on that can be read")
    return TwoSplits(train, lambda: test_files.read(root, classes, params, where)[0], classes, sums)


def held_out(names: Sequence[str], labels: Sequence[Hashable], share: float) -> tuple[list[int], list[int]]:
    """Indices of the training and of the test items: of each class the ``share`` whose name hashes lowest is held out.
    A class keeps at least one item on each side where it has two or more. Adding or removing files moves few others
    from one side to the other, and their order does not matter."""
    classes: dict[Hashable, list[int]] = {}
    for index, label in enumerate(labels):
        classes.setdefault(label, []).append(index)
    test: set[int] = set()
    for indices in classes.values():
        count = len(indices)
        wanted = min(max(1, round(share * count)), count - 1) if share > 0 else 0
        indices.sort(key=lambda index: blake2b(names[index].encode("utf-8", "surrogateescape")).digest())
        test.update(indices[:wanted])
    return [index for index in range(len(names)) if index not in test], sorted(test)
