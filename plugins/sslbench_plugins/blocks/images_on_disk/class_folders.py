"""Images sorted into folders, one folder a class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sslbench import Split, UserError, param
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.reading import Read, ReadingParams, read

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .bmp .gif .tif .tiff .webp .ppm .pgm .pbm .jp2 .avif .ico .tga".split()
)


class FolderParams(ReadingParams):
    size: int = param(64, "side to which images are resized and centre-cropped when read", ge=4, unit="px")


@dataclass(frozen=True)
class Found:
    """Files and classes of one split, sorted."""

    paths: list[Path]
    labels: list[str]

    def only(self, places: Sequence[int]) -> Found:
        return Found([self.paths[place] for place in places], [self.labels[place] for place in places])

    def stamps(self, root: Path) -> list[str]:
        """Name, size and time of change of each file: what a fingerprint is made of."""
        return stamps(self.paths, root)

    def split(self, root: Path, classes: Sequence[str], params: FolderParams, where: str) -> tuple[Split, Tensor]:
        """The images as ``params`` wants them read, labels by the order of ``classes``; and their channel sums."""
        done = read_files(self.paths, root, params, where)
        number = {name: place for place, name in enumerate(classes)}
        kept = self.only(done.kept)
        labels = torch.tensor([number[label] for label in kept.labels], dtype=torch.int64)
        paths = [str(path) for path in kept.paths]
        return Split(done.images, labels, paths=paths, skipped=len(self.paths) - len(paths)), done.sums


def stamps(paths: Sequence[Path], root: Path) -> list[str]:
    """Name below the root where it lies there, size and time of change of each file; of a link that leads nowhere the
    name alone: it is read, or rather cannot be read, with the others."""
    lines = []
    for path in paths:
        name = name_below(path, root)
        try:
            facts = path.stat()
        except OSError:
            lines.append(name)
        else:
            lines.append(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}")
    return lines


def name_below(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def read_files(paths: Sequence[Path], root: Path, params: FolderParams, where: str) -> Read:
    """The images of these files as ``params`` wants them read."""
    names = [name_below(path, root) for path in paths]
    return read(Encoded(paths, names, params.size, where), params, [str(root.resolve()), *stamps(paths, root)])


def classes_of(folder: Path, where: str, layout: str) -> Found:
    """Every image below every class folder. A class without one is an error, and so is a folder without a class."""
    classes = [item for item in visible(folder) if item.is_dir()]
    if not classes:
        loose = sum(is_image(item) for item in visible(folder))
        what = f"has {loose} images but no folder for a class" if loose else "has no folder with images in it"
        raise UserError(f"{where}: {folder} {what}; {layout}")
    found = Found([], [])
    for item in classes:
        images = [path for path in walk(item) if is_image(path)]
        if not images:
            raise UserError(f"{where}: class folder {item} holds no image (endings: {' '.join(sorted(SUFFIXES))})")
        found.paths.extend(images)
        found.labels.extend([item.name] * len(images))
    return found


def has_folder(folder: Path) -> bool:
    return any(item.is_dir() for item in visible(folder))


def visible(folder: Path) -> list[Path]:
    """What is in a folder, sorted, without what systems leave there."""
    try:
        return sorted(item for item in folder.iterdir() if not item.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise unreadable(error) from None


def unreadable(error: OSError) -> UserError:
    return UserError(f"folder {error.filename} cannot be read: {error.strerror}")


def walk(folder: Path) -> list[Path]:
    """All files below a folder, sorted; links to folders are followed only once, and never up to where it lies.

    Raises UserError where a folder cannot be read: its images would be missing without a word.
    """

    def refuse(error: OSError) -> None:
        raise unreadable(error) from None

    files: list[Path] = []
    here = Path(os.path.realpath(folder))
    seen = {str(here)}
    for base, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        kept = []
        for name in sorted(folders):
            place = os.path.realpath(os.path.join(base, name))
            hidden = name.startswith((".", "__MACOSX"))
            if not hidden and place not in seen and not here.is_relative_to(place):
                seen.add(place)
                kept.append(name)
        folders[:] = kept
        files += [Path(base, name) for name in sorted(names) if not name.startswith(".")]
    return files


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
