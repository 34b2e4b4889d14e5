"""What lies in a folder of labelled images, and what is odd about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from sslbench.advise.frozen import Frozen
from sslbench.errors import UserError
from sslbench.train.data import Splits

DUPLICATES = 50_000
"""images up to which equal files are looked for"""


@dataclass(frozen=True)
class Folder:
    """What lies in the folder."""

    root: Path
    labels: Path | None
    classes: tuple[str, ...]
    train: int
    test: int
    fewest: int
    """images to learn from, of the class with the fewest"""
    held_out: bool
    """whether the images to judge on are a part of the only ones there are"""
    notes: tuple[str, ...]
    """what was left out, or looks odd"""


def look(root: Path, labels: Path | None, frozen: Frozen) -> Folder:
    """Count what is there. Raises UserError where there is one class, or nothing to judge on."""
    classes = frozen.classes
    if len(classes) == 1:
        raise UserError(
            f"{root}: has one class, {classes[0]!r}; at least two are needed to tell apart (--unlabelled looks at the"
            " images alone)"
        )
    if len(frozen.images.split("test")) == 0:
        raise UserError(
            f"{root}: no class has a second image; at least 2 are needed, one to learn from and one to judge on"
        )
    data = frozen.data
    assert data.train.labels is not None
    assert data.test.labels is not None
    return Folder(
        root,
        labels,
        tuple(classes),
        len(data.train),
        len(data.test),
        int(data.train.labels.bincount(minlength=len(classes)).min()),
        not own_test(root, labels),
        tuple(notes_on(data, classes, data.test.labels.bincount(minlength=len(classes)).tolist(), root)),
    )


def own_test(root: Path, labels: Path | None) -> bool:
    """Whether the folder brings its own images to judge on."""
    if labels is not None:
        first = labels.read_text(encoding="utf-8-sig").partition("\n")[0].lower()
        return "split" in [word.strip() for word in first.split(",")]
    names = {item.name.lower() for item in root.iterdir() if item.is_dir()}
    return "train" in names and bool(names & {"test", "val", "valid", "validation"})


def notes_on(data: Splits, classes: Sequence[str], judged: Sequence[int], root: Path) -> list[str]:
    notes = []
    if data.skipped:
        notes.append(f"{plural(data.skipped, 'image')} left out: they cannot be read")
    alone = [name for name, count in zip(classes, judged, strict=True) if count == 0]
    if alone:
        notes.append(f"no image to judge on of {listed(alone)}")
    others = other_files(root, {*data.train.paths, *data.test.paths}, data.skipped)
    if others:
        notes.append(f"{plural(others, 'other file')} in the folder, not looked at")
    same = in_both(data)
    if same:
        what = "lie among those to learn from as well, byte for byte: the figures are too good by up to so many"
        notes.append(f"{plural(same, 'image')} to judge on {what}")
    return notes


def other_files(root: Path, images: set[str], skipped: int) -> int:
    """Files below the root that are no images of the data set."""
    files = sum(1 for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return max(0, files - len(images) - skipped)


def in_both(data: Splits) -> int:
    """Splits images whose file equals one of a training image."""
    if len(data.train) + len(data.test) > DUPLICATES:
        return 0
    train = {digest(path) for path in data.train.paths}
    return sum(digest(path) in train for path in data.test.paths)


def digest(path: str) -> bytes:
    return blake2b(Path(path).read_bytes(), digest_size=16).digest()
