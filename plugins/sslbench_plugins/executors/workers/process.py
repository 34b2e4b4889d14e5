"""One worker process: started in a session of its own, written to, read from, and ended with all its children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO

KEPT_LINES = 20
"""of what a worker printed last, for the record of what it was at when it died"""
LONGEST_LINE = 1 << 16
"""bytes that are read as one printed line"""
DRAIN_SECONDS = 5.0
"""that a pipe is still read for after the worker's death, in case a child that left its session holds it open"""
START = """
import json, sys
parent, sys.path[:] = json.loads(sys.argv.pop())
from sslbench_plugins.executors.workers.serve import main
main(parent)
"""


def command() -> list[str]:
    """What starts a worker. It imports from where this process does, and nothing of this process' ``__main__``."""
    path = [entry for entry in sys.path if isinstance(entry, str)]
    return [sys.executable, "-P", "-c", START, json.dumps([os.getpid(), path])]


class WorkerProcess:
    """A process that takes lines on stdin and gives lines back on stdout and stderr."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts it. Raises OSError. The thread that calls this must live as long as the process: a worker ends when
        the thread that started it does."""
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,  # a terminal's Ctrl-C does not reach it
        )
        assert self._process.stdin is not None
        self._stdin: IO[bytes] = self._process.stdin
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)

    @property
    def pid(self) -> int:
        """Its id, also of its process group."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The last lines that it printed since the last ``send``."""
        return "\n".join(self._last_lines)

    def listen(
        self, on_line: Callable[[str], None], on_printed: Callable[[str], None], on_exit: Callable[[int], None]
    ) -> None:
        """Call these, from other threads, with each line of its stdout and its stderr, and at last with its exit code,
        negative for a signal."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None

        def keep(text: str) -> None:
            self._last_lines.append(text)
            on_printed(text)

        readers = [
            self._thread(give, events_in(self._process.stdout), on_line),
            self._thread(give, printed_in(self._process.stderr), keep),
        ]
        self._thread(self._wait, readers, on_exit)

    def send(self, line: str) -> None:
        """Give it a line, once it takes it; one that is dead takes none, which ``on_exit`` says."""
        self._last_lines.clear()
        self._thread(self._write, line.encode() + b"\n")

    def finish(self) -> None:
        """Tell it that nothing more comes."""
        with suppress(OSError):
            self._stdin.close()

    def kill(self) -> None:
        """End it and its children at once."""
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def _thread(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, name=f"worker {self.pid}", daemon=True)
        thread.start()
        return thread

    def _write(self, line: bytes) -> None:
        with suppress(OSError, ValueError):
            self._stdin.write(line)
            self._stdin.flush()

    def _wait(self, readers: Sequence[threading.Thread], on_exit: Callable[[int], None]) -> None:
        code = self._process.wait()
        self.kill()  # what it left of its children
        for reader in readers:
            reader.join(DRAIN_SECONDS)
        self.finish()
        on_exit(code)


def give(lines: Iterator[str], take: Callable[[str], None]) -> None:
    """Each line until the end."""
    for line in lines:
        take(line)


def events_in(stream: IO[bytes]) -> Iterator[str]:
    """Lines of any length."""
    with stream:
        for line in stream:
            yield line.decode(errors="backslashreplace").rstrip("\n")


def printed_in(stream: IO[bytes]) -> Iterator[str]:
    """Lines as a terminal shows them in the end: a progress bar that was drawn over itself is its last state."""
    with stream:
        while line := stream.readline(LONGEST_LINE):
            yield line.decode(errors="backslashreplace").rstrip("\r\n").rpartition("\r")[2]
