"""Images with a class for each, such as one folder a class, and a fixed share of each held out as the test split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from sslbench import ImageReader, Split, UserError, param
from sslbench_plugins.blocks.images_on_disk.class_names import check_different
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.folders import SUFFIXES, is_image, name_below, stamps, visible, walk
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams, read
from sslbench_plugins.blocks.images_on_disk.splits import is_part, roles_of
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits


class FolderParams(ReadingParams):
    """How the files of a folder are read."""

    size: int = param(64, "side to which images are resized and centre-cropped when read", ge=4, unit="px")


ReadSplit = tuple[Split, Tensor]
"""a split and its ``channel_sums``"""


@dataclass(frozen=True)
class LabelledFiles:
    """Files of one split, and the class of each; empty words without classes."""

    paths: list[Path]
    labels: list[str]

    def only(self, indices: Sequence[int]) -> Self:
        """Some of the files."""
        return replace(self, paths=[self.paths[i] for i in indices], labels=[self.labels[i] for i in indices])

    @property
    def files(self) -> list[Path]:
        """All that are read."""
        return self.paths

    def held_out(self, root: Path, share: float) -> tuple[Self, Self]:
        """Training and test files, ``share`` of each class in the test split."""
        names = [Path(name_below(path, root)).as_posix() for path in self.paths]
        train, test = held_out(names, self.labels, share)
        return self.only(train), self.only(test)

    def read(self, encoded: Encoded, key: Sequence[str], classes: Sequence[str], params: FolderParams) -> ReadSplit:
        """The split as ``params`` wants it read, labels by the order of ``classes``; and its ``channel_sums``.
        ``encoded``: these files; ``key``: lines that change when an image of any split does."""
        result = read(encoded, params, [*key, *encoded.names])
        numbers = {name: number for number, name in enumerate(classes)}
        files = self.only(result.kept)
        labels = torch.tensor([numbers[label] for label in files.labels], dtype=torch.int64) if classes else None
        split = Split(
            result.images,
            labels,
            paths=[str(path) for path in files.paths],
            maps=files.map_readers(params.size, encoded.where),
            left_out=result.left_out(len(self.paths)),
            unreadable=result.bad,
            digests=result.digests,
            sides=result.sides,
            white=result.white,
            notes=result.notes,
        )
        return split, result.sums

    def map_readers(self, size: int, where: str) -> dict[str, ImageReader]:
        """Readers of the maps that lie beside the images, by name: none."""
        return {}


@dataclass(frozen=True)
class FolderFiles:
    """What was found in a folder."""

    root: Path
    train: LabelledFiles
    """all there is, where the folder has no test split of its own"""
    test: LabelledFiles | None
    left_out: Callable[[], Mapping[str, int]] = dict
    """why -> files that are no part of a split, counted when they are asked for"""

    @property
    def stamps(self) -> list[str]:
        """Name, size and time of change of each file that is read."""
        return stamps(self.train.files + (self.test.files if self.test else []), self.root)


def class_files(folder: Path, where: str, layout: str) -> LabelledFiles:
    """Every image below every class folder. Raises UserError for a class without an image, for splits inside a class,
    for a folder without a class, and for folders that seem to be parts of a data set."""
    classes = [item for item in visible(folder) if item.is_dir()]
    if not classes:
        loose = sum(is_image(item) for item in visible(folder))
        what = f"has {loose} images but no folder for a class" if loose else "has no folder with images in it"
        way_out = f"; images:root={folder} reads them without labels" if loose else ""
        raise UserError(f"{where}: {folder} {what}; {layout}{way_out}")
    files = LabelledFiles([], [])
    for item in classes:
        below = walk(item)
        images = [path for path in below if is_image(path)]
        if not images:
            raise UserError(f"{where}: class folder {item} holds no image{instead(below)}")
        files.paths.extend(images)
        files.labels.extend([item.name] * len(images))
    check_no_splits_below(folder, files.paths, where)
    check_no_parts(classes, where)
    return files


def check_no_parts(folders: Sequence[Path], where: str) -> None:
    """Raises UserError for a single folder that holds the classes, and for folders that hold the same ones and have the
    names of parts of a data set: their names would be taken for classes."""
    parts = [item.name for item in folders if is_part(item.name)]
    if len(folders) > 1 and 2 * len(parts) < len(folders):
        return
    inside = {item: {below.name for below in visible(item) if below.is_dir()} for item in folders}
    same = sorted(set.intersection(*inside.values())) if inside else []
    held = " and ".join(same[:2]) + (", ..." if len(same) > 2 else "")
    if len(same) < 2:
        return
    if len(folders) > 1:
        raise UserError(
            f"{where}: {folders[0].parent}: {' and '.join(parts[:2])} hold the same folders ({held}) and would be taken"
            " for classes; name them train and test, or give a table of labels"
        )
    if not any(map(is_image, visible(folders[0]))):
        above = f"{folders[0].parent} has the one folder {folders[0].name}, with {held} in it"
        raise UserError(f"{where}: {above}; give root={folders[0]}, or move them one folder up")


def instead(files: Sequence[Path]) -> str:
    """What a folder without images holds, and which endings images have."""
    others = Counter(path.suffix.lower() or "no ending" for path in files).most_common(1)
    held = "".join(f" but {count} files with {ending}" for ending, count in others)
    return f"{held} (endings: {' '.join(sorted(SUFFIXES))})"


def check_no_splits_below(folder: Path, paths: Sequence[Path], where: str) -> None:
    """Raises UserError where a folder inside a class holds splits: their images would be mixed."""
    inside: dict[Path, set[str]] = {}
    for parent in {path.parent for path in paths}:
        while parent != folder:
            inside.setdefault(parent.parent, set()).add(parent.name)
            parent = parent.parent
    for parent, names in sorted(inside.items()):
        roles = roles_of(sorted(names))
        if parent != folder and "train" in roles.values() and len(set(roles.values())) > 1:
            held = f"{parent} holds the splits {' and '.join(roles)}, which would be mixed"
            raise UserError(f"{where}: {held}; give root={parent}, or put the splits above the classes")


def class_without_training(train: LabelledFiles, test: LabelledFiles | None, where: str) -> str | None:
    """A class of the test split that the training split lacks, the first by name; None where there is none. Raises
    UserError for two names of one class."""
    check_different([*train.labels, *(test.labels if test else [])], where)
    return min(set(test.labels) - set(train.labels), default=None) if test else None


def two_splits(dataset: str, where: str, folder: FolderFiles, params: FolderParams, share: float) -> TwoSplits:
    """The folder's own splits, or that share of each class of ``files``, by a hash of the name, as the test split.
    ``where`` names the data set in messages. Raises UserError for a class of which no training image could be read."""
    classes = sorted(set(folder.train.labels) - {""})
    train_files, test_files = (folder.train, folder.test) if folder.test else folder.train.held_out(folder.root, share)
    data = read_both(where, folder, (train_files, test_files), classes, params)
    labels = data.train.labels
    lost = set(range(len(classes))) - set([] if labels is None else labels.tolist())
    if lost:
        raise UserError(f"{dataset}: class {classes[min(lost)]!r} has no image to train on that can be read")
    return data


def read_both(
    where: str,
    folder: FolderFiles,
    parts: tuple[LabelledFiles, LabelledFiles],
    classes: Sequence[str],
    params: FolderParams,
) -> TwoSplits:
    """Training and test files as a data set, on one scale of grey; the test split is read when it is used."""
    # Taken before a file is read, so that a change meanwhile makes another key next time.
    key = [str(folder.root.resolve()), *folder.stamps]
    paths = [path for files in parts for path in files.paths]
    border = len(parts[0].paths)
    encoded = Encoded(paths, [name_below(path, folder.root) for path in paths], params.size, where)
    train, sums = parts[0].read(encoded.only(range(border)), key, classes, params)
    others = Counter(folder.left_out()) + Counter(train.left_out)

    def test() -> Split:
        split, _ = parts[1].read(encoded.only(range(border, len(paths))), key, classes, params)
        return replace(split, held_out=folder.test is None)

    return TwoSplits(replace(train, left_out=dict(others)), test, classes, sums)


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
