"""A worker process: takes work, does it, and sends its events. ``pool`` is the other end."""

from __future__ import annotations

import faulthandler
import os
import queue
import sys
import threading
import time
from typing import IO, Any, NoReturn

import torch

from sslbench import Ended, Event, Failure, Warned, Work, default_registry, from_line, run_work, to_line
from sslbench_plugins.executors.gpu import fault, fault_after, leak
from sslbench_plugins.executors.workers.orphans import end_group, end_with
from sslbench_plugins.executors.workers.protocol import BEGIN, END_OF_PRINTED, LEAVING

END_SECONDS = 10.0
"""that this process has to end in when no more work comes"""


def main(parent: int) -> None:
    """Serve the process of this id until it sends no more."""
    end_with(parent)
    faulthandler.enable(all_threads=False)
    lines, channel = own_streams()
    default_registry().say_nothing()
    inbox = Inbox(lines)
    while (line := inbox.next()) is not None:
        work = from_line(line)
        assert isinstance(work, Work)
        serve(work, channel, torch.cuda)
        inbox.done()
        channel.end(Ended(work.key))


class Channel:
    """The way back to the pool."""

    def __init__(self, events: int, printed: int) -> None:
        """``events``, ``printed``: descriptors of what were stdout and stderr."""
        self._events, self._printed, self._lock = events, printed, threading.Lock()

    def send(self, line: str) -> None:
        """One line, whole, from any thread."""
        with self._lock:
            write(self._events, line)

    def end(self, event: Ended) -> None:
        """Send that the work has ended, and before it whatever it printed."""
        sys.stdout.flush()
        sys.stderr.flush()
        write(self._printed, END_OF_PRINTED)
        self.send(to_line(event))


def serve(work: Work, channel: Channel, cuda: Any) -> None:
    """Do one piece of work and send its events, up to the last but one. ``cuda``: as ``torch.cuda``."""

    def emit(event: Event) -> None:
        channel.send(to_line(event))
        if reason := fault_after(event, work, cuda):
            channel.send(LEAVING)
            channel.end(Ended(work.key, Failure(f"lost: {reason}")))
            os._exit(1)

    channel.send(BEGIN)
    run_work(work, emit)
    if reason := fault(cuda) or leak(cuda):
        emit(Warned(f"{reason}; the worker process is replaced"))
        channel.send(LEAVING)


def write(descriptor: int, line: str) -> None:
    """All of the line."""
    rest = memoryview(line.encode() + b"\n")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class Inbox:
    """Lines of the pool. When it sends no more, work under way is ended with everything that it started."""

    def __init__(self, lines: IO[str]) -> None:
        self._lines, self._queue = lines, queue.SimpleQueue[str | None]()
        self._undone = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> str | None:
        """The next line, None when no more comes."""
        return self._queue.get()

    def done(self) -> None:
        """What one line asked for is done."""
        with self._lock:
            self._undone -= 1

    def _read(self) -> NoReturn:
        for line in self._lines:
            with self._lock:
                self._undone += 1
            self._queue.put(line)
        if not self._undone:
            self._queue.put(None)
            time.sleep(END_SECONDS)
        end_group()


def own_streams() -> tuple[IO[str], Channel]:
    """Where work comes from and events go to. What plugins and compiled code print goes to stderr from now on, and
    whoever reads from stdin finds nothing."""
    lines, channel = open(os.dup(0), encoding="utf-8"), Channel(os.dup(1), os.dup(2))  # noqa: SIM115
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    return lines, channel
