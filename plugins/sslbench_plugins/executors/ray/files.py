"""Files of a pretraining on their way between the results folder and a node that does not see it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

CHUNK = 8 << 20
"""bytes that are sent at a time"""
SCRATCH = "sslbench-ray-"
Piece = tuple[str, bytes, bool]
"""name below the pretraining's folder, content, whether it is the last of its file"""
State = dict[str, tuple[int, int]]
"""name -> size and time of change, ns"""


def state_of(folder: Path) -> State:
    """The files that are there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
            stat = path.stat()
            found[path.relative_to(folder).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return found


def pieces_of(folder: Path, names: Iterable[str]) -> Iterator[Piece]:
    """The content of some files."""
    for name in names:
        with open(folder / name, "rb") as file:
            content = file.read(CHUNK)
            while following := file.read(CHUNK):
                yield name, content, False
                content = following
            yield name, content, True


@dataclass
class Arrivals:
    """Puts the pieces that come for one folder together. A file takes the place of an older one when it is whole."""

    folder: Path
    failed: dict[str, str] = field(default_factory=dict)
    """files that could not be kept, and why"""

    def take(self, piece: Piece) -> None:
        """The next piece."""
        name, content, is_last = piece
        if name in self.failed:
            return
        target = self.folder / checked(name)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, "ab") as file:
                file.write(content)
                if is_last:
                    file.flush()
                    os.fsync(file.fileno())
            if is_last:
                os.replace(partial, target)
        except OSError as error:
            self.failed[name] = error.strerror or str(error)
            with suppress(OSError):
                partial.unlink()

    def remove(self, names: Iterable[str]) -> None:
        """Files that are no more, such as a checkpoint after the training."""
        for name in names:
            with suppress(OSError):
                (self.folder / checked(name)).unlink()


def checked(name: str) -> str:
    """A name that stays in its folder. Raises ValueError for another."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"a worker sent a file of the name {name!r}")
    return name


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for one task, removed at its end. What killed tasks left on this node is removed too."""
    from filelock import FileLock, Timeout

    base = Path(tempfile.gettempdir())
    for left in base.glob(f"{SCRATCH}*"):
        with suppress(Timeout, OSError), FileLock(left / ".lock", timeout=0):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH))
    with FileLock(folder / ".lock"):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
