"""Files written whole or not at all: a reader sees the old file or the new one."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTIAL = re.compile(r"\..+\.(\d+)(?:@(.*))?\.partial")
"""name of a file that is being written, with the process and the host that write it"""


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; at the end that is on the disk in the place of ``path``, or else removed.
    What killed writers left in the folder is removed too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_partials(path.parent)
    partial = path.with_name(f".{path.name}.{os.getpid()}@{socket.gethostname()}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, *parts: bytes | memoryview) -> None:
    """Replace the content of ``path``, whose folder is made where it is missing. Raises OSError."""
    with replaced(path) as partial, partial.open("wb") as file:
        for part in parts:
            file.write(part)


def remove_partials(folder: Path) -> None:
    """Remove the partial files of processes of this host that are no more."""
    for path in folder.glob(".*.partial"):
        if is_left_over(path.name):
            with suppress(OSError):
                path.unlink()


def is_left_over(name: str) -> bool:
    """Whether a file's name is that of a partial file whose writer, a process of this host, is no more."""
    named = PARTIAL.fullmatch(name)
    if named is None or named[2] not in (None, socket.gethostname()):
        return False
    try:
        os.kill(int(named[1]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's, or no process
        pass
    return False
