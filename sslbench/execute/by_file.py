"""``python -m sslbench.execute.by_file WORK``: one piece of work from a file, its events to another.

For workers that share a folder with the scheduler and nothing else, such as the jobs of a cluster. A job may be ended
at any moment and started again: it goes on from what the one before left, and what has ended is not done again.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from sslbench.contracts.executor import Ended, Event, Failure, TrainingProgress, Work
from sslbench.execute.event_file import EventFile
from sslbench.execute.events import RecordMade, StageStarted
from sslbench.execute.wire import from_line
from sslbench.store.artifacts import pretraining_files

PATIENCE = 25.0
"""seconds from a signal to end to the end, whatever a plugin does with it: SLURM kills 30 s after it, by default"""
ENDING = threading.Event()
"""set when a signal asks for the end: what goes wrong from then on, such as in an import cut short, is no result"""
BETWEEN = 2.0
"""seconds between two reports of the progress of training"""


@dataclass(frozen=True)
class WorkFiles:
    """The files of one piece of work in the results folder."""

    out: Path
    key: str

    @property
    def work(self) -> Path:
        """What there is to do: a line of ``to_line``."""
        return self.out / "jobs" / f"{self.key}.work"

    @property
    def events(self) -> Path:
        """What has happened: the worker's ``EventFile``."""
        return self.out / "events" / f"{self.key}.jsonl"

    @property
    def heartbeat(self) -> Path:
        """Touched again and again while the worker lives."""
        return self.out / "jobs" / f"{self.key}.alive"


def main(arguments: Sequence[str]) -> int:
    """Do it. The exit code is 0 where the events say how it ended, 143 where a signal ended it before."""
    parser = argparse.ArgumentParser(prog="python -m sslbench.execute.by_file", allow_abbrev=False)
    parser.add_argument("work", type=Path)
    parser.add_argument("--heartbeat", type=float, default=30.0, metavar="SECONDS")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, end)
    try:
        work = read(asked.work)
    except (OSError, ValueError) as error:
        print(f"sslbench: error: on {socket.gethostname()}: {error}", file=sys.stderr)
        return 2
    files = WorkFiles(Path(work.out), work.key)
    file = EventFile(files.events)
    try:
        with heartbeat(files.heartbeat, asked.heartbeat):
            ended = do(work, file)
    except KeyboardInterrupt:
        return 128 + signal.SIGTERM
    if ended is not None:  # last of all: who reads it removes the files
        file.append(ended)
    return 0


def read(path: Path) -> Work:
    """The work of a file. Raises OSError, ValueError."""
    item = from_line(path.read_text())
    if not isinstance(item, Work):
        raise ValueError(f"{path}: holds no work")
    return item


def do(work: Work, file: EventFile) -> Ended | None:
    """Do what has no record yet, and return how it ended; None where ``file`` says so already."""
    before = file.new()
    if any(isinstance(event, Ended) for event in before):  # a job that had ended may be started again
        return None
    made = {event.record.cell for event in before if isinstance(event, RecordMade)}
    left = tuple(evaluation for evaluation in work.evaluations if evaluation.cell not in made)
    failure = None
    try:
        if work.fresh and not before:
            pretraining_files(Path(work.out), work.key).remove()
        file.append(StageStarted(f"starting on {socket.gethostname()}"))  # from now on there is something to go on from
        if left:
            from sslbench.execute.worker import run_work

            run_work(replace(work, evaluations=left, fresh=False), Throttled(file))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if ENDING.is_set():
            raise KeyboardInterrupt from None
        trace = traceback.format_exc()
        print(trace, file=sys.stderr)
        failure = Failure(f"lost: the worker failed: {type(error).__name__}: {error}", detail=trace)
    return Ended(work.key, failure)


class Throttled:
    """Appends events to a file; of the progress of training only one in two seconds."""

    def __init__(self, file: EventFile) -> None:
        self.file, self._next = file, 0.0

    def __call__(self, event: Event) -> None:
        """Append it, or leave it out. Raises KeyboardInterrupt once the end was asked for."""
        if ENDING.is_set():
            raise KeyboardInterrupt
        if isinstance(event, TrainingProgress):
            if time.monotonic() < self._next:
                return
            self._next = time.monotonic() + BETWEEN
        self.file.append(event)


@contextmanager
def heartbeat(path: Path, seconds: float) -> Iterator[None]:
    """Touch the file again and again while this is open, and not once afterwards."""
    stop = threading.Event()

    def beat() -> None:
        while True:
            with suppress(OSError):
                path.touch()
            if stop.wait(seconds):
                break

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def end(number: int, frame: FrameType | None) -> None:
    """What SIGTERM does: an interrupt, and the end of the process where that does not come through."""
    ENDING.set()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    timer = threading.Timer(PATIENCE, os._exit, (128 + number,))
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


if __name__ == "__main__":
    faulthandler.enable()
    sys.exit(main(sys.argv[1:]))
