"""Rows of images and labels, whatever files they are in: numbered labels, splits, and what is no part of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sslbench import Split, UserError
from sslbench_plugins.blocks.images_on_disk.class_folders import held_out
from sslbench_plugins.blocks.images_on_disk.class_names import check_different
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.file_labels import FileLabels, Label, by_name
from sslbench_plugins.blocks.images_on_disk.file_parts import Source
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams, read
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits, side_of
from sslbench_plugins.blocks.images_on_disk.unlabelled import check_classes_left


@dataclass(frozen=True)
class Rows:
    """Rows of all files that are used, in their order, those of the training split first."""

    images: Sequence[Source]
    """encoded, empty where there is none"""
    labels: Sequence[int]
    """-1 where there is none"""
    titles: Sequence[str]
    """file and row of each, for messages"""
    border: int
    """number of training rows"""
    classes: Sequence[str]
    """empty where nothing has a label"""
    names: Sequence[str] = ()
    """by whose hash rows are held out; empty: by their number"""
    are_paths: bool = False
    """whether the titles are where the images come from"""

    def labelled(self, start: int, stop: int) -> list[int]:
        """Indices of rows in this range that have a label, where any has."""
        return [index for index in range(start, stop) if self.labels[index] >= 0 or not self.classes]

    def held_out(self, share: float) -> tuple[list[int], list[int]]:
        """Indices of the training and of the test rows, ``share`` of each class in the test split."""
        indices = self.labelled(0, self.border)
        names = [self.names[index] if self.names else str(index) for index in indices]
        train, test = held_out(names, [self.labels[index] for index in indices], share)
        return [indices[index] for index in train], [indices[index] for index in test]


def numbered(train: Sequence[FileLabels], test: Sequence[FileLabels], where: str) -> tuple[list[int], list[str]]:
    """The number of each row's class, -1 without a label, and the names of the classes. Raises UserError for labels
    that do not fit together, for a training split without labels, and for a class that only the test split has."""
    parts = [*train, *test]
    labels, classes = by_name(parts)
    in_train, in_test = (
        {label for part in some for label in part if label is not None}
        for some in (labels[: len(train)], labels[len(train) :])
    )
    check_different(map(str, in_train | in_test), where)
    if not any(part.names for part in parts):
        check_classes_left([value for part in parts for value in (*part.values, *part.minus_ones)], where)
    if not in_train:
        raise UserError(f"{where}: no training row has a label; at least one class is needed")
    if in_test - in_train:
        stray = min(map(str, in_test - in_train))
        raise UserError(f"{where}: has class {stray!r} in its test split alone")
    numbers: dict[Label, int] = {name: number for number, name in enumerate(classes)}
    numbers |= {label: numbers[str(label)] for label in in_train}
    return [numbers.get(label, -1) if label is not None else -1 for part in labels for label in part], classes


@dataclass(frozen=True)
class RowReading:
    """How rows are read, whatever files they are in."""

    params: ReadingParams
    size: int | None
    """side to which images are resized and centre-cropped; None: as they are"""
    test_share: float
    """part of each class to evaluate on, where no file is of a split for it"""
    where: str
    """names the data set in messages"""
    key: Sequence[str]
    """lines that change when an image does, taken before a file was read"""


def split_rows(rows: Rows, how: RowReading, has_test: bool, left_out: Mapping[str, int]) -> TwoSplits:
    """The files' own splits, or a fixed share of each class, by a hash of the row, as the test split; ``left_out``:
    why -> rows and files that are no part of a split, but for images that cannot be read."""
    train_indices, test_indices = rows.labelled(0, rows.border), rows.labelled(rows.border, len(rows.labels))
    if not has_test:
        train_indices, test_indices = rows.held_out(how.test_share)
    encoded = Encoded(rows.images, rows.titles, how.size, how.where)

    def split(indices: list[int]) -> tuple[Split, Tensor]:
        some = encoded.only(indices)
        result = read(some, how.params, [*how.key, *some.names])
        kept = [indices[index] for index in result.kept]
        labels = torch.tensor([rows.labels[index] for index in kept], dtype=torch.int64) if rows.classes else None
        paths = [rows.titles[index] for index in kept] if rows.are_paths else ()
        part = Split(result.images, labels, paths=paths, left_out=result.left_out(len(indices)), sides=result.sides)
        return replace(
            part, digests=result.digests, white=result.white, unreadable=result.bad, notes=result.notes
        ), result.sums

    train, sums = split(train_indices)
    others = Counter(left_out) + Counter(train.left_out)

    def test() -> Split:
        part = split(test_indices)[0]
        if len(part) and side_of(part) != side_of(train):
            sides = f"test images measure {side_of(part)} px, training images {side_of(train)} px"
            raise UserError(f"{how.where}: {sides}; size=N makes them N x N")
        return replace(part, held_out=not has_test)

    return TwoSplits(replace(train, left_out=dict(others)), test, rows.classes, sums)
