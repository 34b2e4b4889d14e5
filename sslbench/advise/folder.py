"""A folder of the user's own images: which data set it is, at what size it is read, and what looks wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sslbench.advise.defaults import LABELLED_IMAGES, RAW_PIXELS, UNLABELLED_IMAGES, UNTRAINED
from sslbench.advise.frozen import FrozenFeatures, Model, Settings
from sslbench.errors import UserError
from sslbench.plan.reference import Reference, parse_reference
from sslbench.report.text import first_names, plural
from sslbench.train.data import Splits

READ_SIZE = 64
"""pixels, for models that have no input size of their own"""
BASELINES = {RAW_PIXELS: 32, UNTRAINED: READ_SIZE}
"""method -> side at which its images are read, pixels; pixels as features grow with its square"""
MOST_COMPARED = 50_000
"""images up to which equal files are looked for"""


def dataset_reference(text: str, size: Callable[[], int]) -> Reference:
    """``NAME:key=value,...``, or a folder: labelled images where it has folders in it, else unlabelled ones.

    ``size`` is called for a folder alone: the side at which its images are read, pixels.
    """
    folder = Path(text).expanduser()
    if not folder.exists() and "/" not in text.partition(":")[0]:
        return parse_reference(text)
    return folder_reference(folder, size(), labelled=has_folders(folder))


def folder_reference(folder: Path, size: int, *, labelled: bool, **params: Any) -> Reference:
    """The data set of the images in a folder, those that cannot be read left out."""
    values = {"root": str(folder), "size": size, "on_error": "skip", **params}
    return Reference(LABELLED_IMAGES if labelled else UNLABELLED_IMAGES, values)


def has_folders(folder: Path) -> bool:
    """Whether there are folders in it that are not hidden. Raises UserError for what is no folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: {'is a file, not a folder' if folder.exists() else 'no such folder'}")
    try:
        return any(item.is_dir() and not item.name.startswith((".", "__MACOSX")) for item in folder.iterdir())
    except OSError as error:
        raise UserError(f"folder {folder} cannot be read: {error.strerror}") from None


def reading_size(model: Model, settings: Settings) -> int:
    """Side at which images are read so that none is enlarged on the way to the model: before its crop, pixels."""
    wanted = model.build(READ_SIZE, settings).input_spec
    return READ_SIZE if wanted is None else math.ceil(wanted.size / wanted.crop)


def file_digest(path: Path) -> bytes:
    """Equal for files with the same bytes."""
    return blake2b(path.read_bytes(), digest_size=16).digest()


@dataclass(frozen=True)
class LabelledFolder:
    """What lies in a folder of labelled images."""

    root: Path
    labels: Path | None
    """table of labels, or None for class folders"""
    classes: tuple[str, ...]
    train: int
    """images"""
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
    fewest = int(data.train.labels.bincount(minlength=len(classes)).min())
    test_counts = data.test.labels.bincount(minlength=len(classes)).tolist()
    notes = tuple(notes_on(data, classes, test_counts, root))
    held_out = not has_test_split(root, labels)
    return LabelledFolder(root, labels, tuple(classes), len(data.train), len(data.test), fewest, held_out, notes)


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
    files = sum(1 for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    others = files - len({*data.train.paths, *data.test.paths}) - data.skipped
    if others > 0:
        notes.append(f"{plural(others, 'other file')} in the folder, not looked at")
    same = equal_in_both(data)
    if same:
        what = "are training images as well, byte for byte: accuracies are too high by up to as many images"
        notes.append(f"{plural(same, 'image')} to evaluate on {what}")
    return notes


def equal_in_both(data: Splits) -> int:
    """Test images whose file equals that of a training image; 0 where there are too many to compare."""
    if len(data.train) + len(data.test) > MOST_COMPARED:
        return 0
    train = {file_digest(Path(path)) for path in data.train.paths}
    return sum(file_digest(Path(path)) in train for path in data.test.paths)
