"""What lies in a folder of labelled images, and what a user should know about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sslbench.advise.folder import file_digest
from sslbench.advise.frozen import FrozenFeatures
from sslbench.errors import UserError
from sslbench.report.text import first_names, plural
from sslbench.train.data import Splits

MOST_COMPARED = 50_000
"""images up to which equal files are looked for"""


@dataclass(frozen=True)
class LabelledFolder:
    """What lies in the folder."""

    root: Path
    labels: Path | None
    """table of labels, or None for class folders"""
    classes: tuple[str, ...]
    train: int
    """training images"""
    test: int
    """images to evaluate on"""
    fewest: int
    """training images of the class with the fewest"""
    held_out: bool
    """whether the images to evaluate on are a part of the only ones there are"""
    notes: tuple[str, ...]
    """what was left out, or looks wrong"""


def describe(root: Path, labels: Path | None, frozen: FrozenFeatures) -> LabelledFolder:
    """Count what is there. Raises UserError where there is one class, or nothing to evaluate on."""
    classes = frozen.classes
    if len(classes) == 1:
        raise UserError(
            f"{root}: has one class, {classes[0]!r}; at least two are needed to tell apart (--unlabelled looks at the"
            " images alone)"
        )
    if len(frozen.images.split("test")) == 0:
        raise UserError(
            f"{root}: no class has a second image; at least 2 are needed, one to train on and one to evaluate on"
        )
    data = frozen.data
    assert data.train.labels is not None
    assert data.test.labels is not None
    test_counts = data.test.labels.bincount(minlength=len(classes)).tolist()
    return LabelledFolder(
        root,
        labels,
        tuple(classes),
        len(data.train),
        len(data.test),
        int(data.train.labels.bincount(minlength=len(classes)).min()),
        not has_test_split(root, labels),
        tuple(notes_on(data, classes, test_counts, root)),
    )


def has_test_split(root: Path, labels: Path | None) -> bool:
    """Whether the folder, or the table of labels, has images of its own to evaluate on."""
    if labels is not None:
        header = labels.read_text(encoding="utf-8-sig").partition("\n")[0].lower()
        return "split" in [word.strip() for word in header.split(",")]
    names = {item.name.lower() for item in root.iterdir() if item.is_dir()}
    return "train" in names and bool(names & {"test", "val", "valid", "validation"})


def notes_on(data: Splits, classes: Sequence[str], test_counts: Sequence[int], root: Path) -> list[str]:
    """One line for each thing that a user should know; ``test_counts``: test images of each class."""
    notes = []
    if data.skipped:
        notes.append(f"{plural(data.skipped, 'image')} left out: they cannot be read")
    without_test = [name for name, count in zip(classes, test_counts, strict=True) if count == 0]
    if without_test:
        notes.append(f"no image to evaluate on of {first_names(without_test)}")
    others = other_files(root, {*data.train.paths, *data.test.paths}, data.skipped)
    if others:
        notes.append(f"{plural(others, 'other file')} in the folder, not looked at")
    same = equal_in_both(data)
    if same:
        what = "are training images as well, byte for byte: accuracies are too high by up to as many images"
        notes.append(f"{plural(same, 'image')} to evaluate on {what}")
    return notes


def other_files(root: Path, images: set[str], skipped: int) -> int:
    """Files below the root that are no images of the data set."""
    files = sum(1 for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return max(0, files - len(images) - skipped)


def equal_in_both(data: Splits) -> int:
    """Test images whose file equals that of a training image; 0 where there are too many to compare."""
    if len(data.train) + len(data.test) > MOST_COMPARED:
        return 0
    train = {file_digest(Path(path)) for path in data.train.paths}
    return sum(file_digest(Path(path)) in train for path in data.test.paths)
