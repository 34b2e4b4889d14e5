"""One writer per results folder: a lock of the operating system, and a note that says who holds it."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from sslbench.errors import StoreLocked
from sslbench.store.atomic import write_atomically


class WriterLock:
    """Held by the process that writes; the system frees it when that ends. A note without a lock means nothing."""

    def __init__(self, database: Path) -> None:
        from filelock import FileLock  # takes 60 ms to import, which a reader need not wait for

        self._folder = database.parent
        self._lock = FileLock(f"{database}.lock")
        self._note = Path(f"{database}.holder.json")

    def acquire(self) -> None:
        """Take the lock or raise StoreLocked at once. OSError where the folder cannot be written."""
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise StoreLocked(
                f"{self._folder}: another process is writing these results: {self._holder()};"
                " wait until it ends, or choose another folder (--out)"
            ) from None
        try:
            self._write_note()
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let others write."""
        with suppress(OSError):
            self._note.unlink(missing_ok=True)
        self._lock.release()

    def writer(self) -> str | None:
        """Who writes now, in words; None where nobody does."""
        from filelock import Timeout

        # Nothing is tried where no note says that somebody writes: what is only read is left as it is.
        if not (self._note.exists() and Path(self._lock.lock_file).exists()):
            return None
        try:
            with self._lock.acquire(timeout=0):
                return None
        except (Timeout, OSError):
            return self._holder()

    def _write_note(self) -> None:
        path = Path(sys.argv[0])
        program = path.parent.name if path.name == "__main__.py" else path.name  # python -m sslbench
        since = datetime.now(UTC).isoformat(timespec="seconds")
        command = " ".join([program, *sys.argv[1:]])
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "command": command}
        write_atomically(self._note, json.dumps(holder).encode())

    def _holder(self) -> str:
        """Who holds the lock, in words. The note may be missing, or left by a process that was killed."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            pid, host = int(note["pid"]), str(note["host"])
            if host == socket.gethostname():
                with suppress(PermissionError):  # it is there, but another user's
                    os.kill(pid, 0)
            return f"pid {pid} on {host} since {note['since']} ({note['command']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "which one is not known"
