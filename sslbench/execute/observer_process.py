"""An observer in a process of its own: it can change nothing here, nobody waits for it, and it can be ended."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from sslbench.contracts.observer import ObserverSpec
from sslbench.errors import UserError
from sslbench.execute.exits import how_it_ended
from sslbench.plan.cell import Choice

MOST_BEHIND = 10_000
"""calls that an observer may be behind"""
START_SECONDS = 180.0
"""that an observer has to be built in"""
LEAVING = 5.0
"""seconds that a process has to end in once it replies no more"""
LAST_PRINTED = 1.0
"""seconds that the pipe of an ended observer is still read for"""
START = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop())
from sslbench.execute.observe import main
main()
"""


class ObserverProcess:
    """Takes calls as lines, in order, and does them one after another."""

    def __init__(self, choice: Choice[ObserverSpec]) -> None:
        """Starts it. Raises OSError."""
        self.name = choice.name
        self.failure = ""
        """why it does no more calls, one line"""
        self.refused: list[str] = []
        """why it could not be built"""
        self.printed: deque[str] = deque()
        """lines that nobody has taken yet"""
        self.sent = self.done = 0
        """calls"""
        self.ended = threading.Event()
        """to wait for: there is no process any more, and what it said is known"""
        self._answered, self._closing = threading.Event(), False
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        path = json.dumps([entry for entry in sys.path if isinstance(entry, str)])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C does not reach it
        )
        for target in (self._write, self._read, self._take_printed):
            self._printing = self._thread(target)
        self._queue.put(json.dumps(asdict(choice.plain)))

    def check_built(self) -> None:
        """Wait until it is built. Raises UserError where it cannot be."""
        if not self._answered.wait(START_SECONDS):
            self.kill()
            raise UserError(f"observer {self.name!r} did not start within {START_SECONDS:g} s")
        if self.refused:
            raise UserError(*self.refused)
        if self.failure:
            raise UserError(f"observer {self.name!r}: {self.failure}")

    def send(self, line: str) -> None:
        """Give it a call; nobody waits for it. One that is far behind is ended."""
        self.sent += 1
        self._queue.put(line)
        if self.sent - self.done > MOST_BEHIND:
            self.end(f"it is {MOST_BEHIND:,} events behind")

    def finish(self) -> None:
        """No more calls come; it ends when it has done those that came."""
        self._closing = True
        self._queue.put(None)

    def end(self, why: str) -> None:
        """End it at once, for this reason."""
        self.failure = self.failure or why
        self.kill()

    def kill(self) -> None:
        """End it and its children at once."""
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def _thread(self, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"observer {self.name}", daemon=True)
        thread.start()
        return thread

    def _write(self) -> None:
        stdin = stream(self._process.stdin)
        with suppress(OSError, ValueError), stdin:
            while (line := self._queue.get()) is not None:
                stdin.write(line.encode() + b"\n")
                stdin.flush()

    def _read(self) -> None:
        """Take its replies, then how it ended."""
        with stream(self._process.stdout) as replies:
            for line in replies:
                try:
                    self._reply(*json.loads(line))
                except (ValueError, TypeError):
                    self.end("its process writes to a descriptor that is not its own")
        try:
            code = self._process.wait(LEAVING)
        except subprocess.TimeoutExpired:
            self.end("its process closed what it replies to")
            code = self._process.wait()
        if code or not self._closing:
            self.failure = self.failure or f"its process {how_it_ended(code)}"
        self.kill()  # what it left of its children
        self._queue.put(None)
        self._printing.join(LAST_PRINTED)
        self._answered.set()
        self.ended.set()

    def _reply(self, kind: str, value: Any = None) -> None:
        if kind == "done":
            self.done += 1
        elif kind == "refused":
            self.refused = value
        elif kind == "failed":
            self.failure = self.failure or value
        if kind == "ready":
            self._answered.set()

    def _take_printed(self) -> None:
        with stream(self._process.stderr) as lines:
            for line in lines:
                self.printed.append(line.decode(errors="backslashreplace").rstrip("\r\n").rpartition("\r")[2])


def stream(pipe: IO[bytes] | None) -> IO[bytes]:
    """One of a process's pipes, of which there are three."""
    assert pipe is not None
    return pipe
