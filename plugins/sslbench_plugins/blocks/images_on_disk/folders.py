"""Files below a folder: which are images, and how a change of one is noticed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

from sslbench import UserError

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .bmp .gif .tif .tiff .webp .ppm .pgm .pbm .jp2 .avif .ico .tga".split()
)
LEFT_BY_SYSTEMS = frozenset(
    "@eadir @recycle @tmp #recycle #snapshot $recycle.bin recycler lost+found __pycache__ thumbs.db ehthumbs.db"
    " desktop.ini picasa.ini icon\r".split(" ")
) | {"system volume information"}
"""names, in small letters, beside those that start with a dot"""
LEFT_BY_SYSTEM = "hidden, or left by a system"
LONGEST = 200
"""letters of a path that a message shows"""
NAMED = 5
"""files that a message names one by one"""


def is_image(path: Path) -> bool:
    """By its ending."""
    return path.suffix.lower() in SUFFIXES


def is_left_by_system(name: str) -> bool:
    """Whether a file or folder is hidden, or one that systems, viewers and editors leave behind."""
    return name.startswith((".", "__MACOSX")) or name.casefold() in LEFT_BY_SYSTEMS


def visible(folder: Path) -> list[Path]:
    """What is in a folder, sorted, without what systems leave there. Raises UserError where it cannot be read."""
    try:
        return sorted(item for item in folder.iterdir() if not is_left_by_system(item.name))
    except OSError as error:
        raise unreadable(error) from None


def has_folder(folder: Path) -> bool:
    """Whether a visible folder lies in this one."""
    return any(item.is_dir() for item in visible(folder))


def unreadable(error: OSError) -> UserError:
    """What to raise for a folder that cannot be read."""
    return UserError(f"folder {error.filename} cannot be read: {error.strerror}")


def list_error(where: str, problem: str, lines: Sequence[str]) -> UserError:
    """What to raise for a problem of several files: the first few lines, each of one file, and how many more."""
    more = [f"and {len(lines) - NAMED} more"] if len(lines) > NAMED else []
    return UserError(*(f"{where}: {line}" for line in [problem, *lines[:NAMED], *more]))


def walk(folder: Path, left_by_system: list[Path] | None = None) -> list[Path]:
    """All files below a folder, sorted, without what systems leave there, which goes to ``left_by_system``; links to
    folders are entered only once, and never up to where it lies. Raises UserError where a folder cannot be read: its
    images would be missing without a word."""

    def refuse(error: OSError) -> None:
        raise unreadable(error) from None

    files: list[Path] = []
    root = Path(os.path.realpath(folder))
    visited = {str(root)}
    for base, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        entered = []
        for name in sorted(folders):
            path = os.path.join(base, name)
            if is_left_by_system(name):
                if left_by_system is not None:
                    left_by_system += [Path(below, file) for below, _, inside in os.walk(path) for file in inside]
                continue
            target = os.path.realpath(path)
            if target not in visited and not root.is_relative_to(target):
                visited.add(target)
                entered.append(name)
        folders[:] = entered
        for name in sorted(names):
            kept = left_by_system if is_left_by_system(name) else files
            if kept is not None:
                kept.append(Path(base, name))
    return files


def count_others(root: Path, used: Iterable[Path], reason: Callable[[Path], str]) -> dict[str, int]:
    """Why -> number of files below the root that are not among ``used``; ``reason`` says why an image is not."""
    left_by_system: list[Path] = []
    known = set(used)
    others = [path for path in walk(root, left_by_system) if path not in known]
    # Below a linked folder a file may be used under its other name.
    others = [path for path in others if Path(os.path.realpath(path)) not in known]
    counts = Counter(reason(path) if is_image(path) else not_read(path) for path in others)
    return dict(counts) | ({LEFT_BY_SYSTEM: len(left_by_system)} if left_by_system else {})


def not_read(path: Path) -> str:
    """Why a file is no image: its ending."""
    return f"not read: {path.suffix.lower() or 'no ending'}"


def existing_folder(root: str, dataset: str, layout: str) -> Path:
    """The folder named by a user, resolved. Raises UserError, with the expected layout, where there is none."""
    folder = Path(os.path.expanduser(root))
    if not os.path.isdir(folder):
        what = "is a file, not a folder" if os.path.exists(folder) else "does not exist"
        raise UserError(f"{dataset}: root={shortened(root)} {what}; {layout}")
    return folder.resolve()


def shortened(text: str) -> str:
    """So much of a path that a message stays one line."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 :]} ({len(text):,} letters)"


def name_below(path: Path, root: Path) -> str:
    """The path from the root where it lies there, else all of it."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def stamps(paths: Sequence[Path], root: Path) -> list[str]:
    """Name below the root, size and time of change of each file; of a link that leads nowhere the name alone: it is
    named with the images that cannot be read."""
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


def digest_of(lines: Iterable[str]) -> str:
    """A short text that changes when a line does."""
    digest = blake2b(digest_size=8)
    for line in lines:
        digest.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
