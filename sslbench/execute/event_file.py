"""Events that one process appends to a file and another reads, where processes share a folder but nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from sslbench.contracts.executor import Event, Work
from sslbench.execute.events import Warned
from sslbench.execute.wire import from_line, to_line


class EventFile:
    """One event a line. It has one writer at a time, and any number of readers, each with an object of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        """bytes that were read"""

    def append(self, event: Event) -> None:
        """Add an event; it is on the disk when this returns. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "ab+") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a writer was killed within its line
                    file.write(b"\n")
            file.write(to_line(event).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def new(self) -> list[Event]:
        """The events since the last call; none where there is no file yet. A line that was torn is named in a warning,
        and the end of one that is still being written waits for the next call."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self._at)
                content = file.read()
        except FileNotFoundError:
            return []
        whole, _, _ = content.rpartition(b"\n")
        self._at += len(whole) + 1 if whole or content.startswith(b"\n") else 0
        return [self._read(line) for line in whole.split(b"\n") if line]

    def _read(self, line: bytes) -> Event:
        try:
            event = from_line(line.decode())
        except ValueError as error:
            return Warned(f"{self.path}: {error}")
        return Warned(f"{self.path}: holds work among its events") if isinstance(event, Work) else event
