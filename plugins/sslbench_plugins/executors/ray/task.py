"""What a task does on its node: one piece of work, whose events and files go back as messages."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from sslbench import Ended, Event, Failure, Work, build_plugin, from_line, pretraining_files, to_line
from sslbench_plugins.executors.ray.files import Arrivals, Piece, pieces_of, scratch_folder, state_of

WORKER = "workers:slots={slots}"
"""the executor that does the work on the node, in a process of its own: what plugins end there, this task outlives"""
Message = tuple[str, Any]
"""``events``: lines; ``file``: a piece of one; ``gone``: names of files"""


def do(line: str, mark: tuple[str, str, str], files: Sequence[Any]) -> Iterator[Message]:
    """Do the work of a line. ``mark``: whether its folder is shared (auto, true, false), and the name and the content
    of a file in it that says so; ``files``: pieces of what an earlier run left, as Ray keeps them."""
    import ray

    if not ray.get_gpu_ids():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # else a task without a GPU sees all of its node
    work = from_line(line)
    assert isinstance(work, Work)
    shared, name, content = mark
    sees = shared != "false" and reads(Path(work.out) / name) == content
    if shared == "true" and not sees:
        reason = f"refused: node {socket.gethostname()} does not see {work.out} (shared=true); allowed: auto, false"
        yield "events", [to_line(Ended(work.key, Failure(reason, "refused")))]
        return
    with ExitStack() as stack:
        out = work.out if sees else str(stack.enter_context(scratch_folder()))
        folder = pretraining_files(Path(out), work.key).folder
        arrivals = Arrivals(folder)
        for piece in files if not sees else ():
            arrivals.take(ray.get(piece))
        before = state_of(folder)
        ended = Ended(work.key)
        for events in events_of(replace(work, out=out)):
            yield "events", [to_line(event) for event in events if not isinstance(event, Ended)]
            ended = next((event for event in events if isinstance(event, Ended)), ended)
        if not sees:
            yield from changes(folder, before)
        yield "events", [to_line(ended)]


def reads(path: Path) -> str:
    """What a file says; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def changes(folder: Path, before: dict[str, tuple[int, int]]) -> Iterator[Message]:
    """What the work made of the files of its pretraining."""
    after = state_of(folder)
    piece: Piece
    for piece in pieces_of(folder, [name for name, state in after.items() if before.get(name) != state]):
        yield "file", piece
    yield "gone", [name for name in before if name not in after]


def events_of(work: Work) -> Iterator[list[Event]]:
    """The events of the work, those that are there together; ``Ended`` is the last of the last."""
    queue: SimpleQueue[Event] = SimpleQueue()
    name = WORKER.format(slots=work.at_once)  # others of as many may run beside it
    executor = build_plugin("executor", name, device=work.training.device, devices=work.training.devices)
    thread = threading.Thread(target=executor.submit, args=(work, queue.put), daemon=True)
    thread.start()
    try:
        while True:
            events = [queue.get()]
            try:
                while not isinstance(events[-1], Ended):
                    events.append(queue.get_nowait())
            except Empty:
                pass
            yield events
            if isinstance(events[-1], Ended):
                return
    finally:
        executor.close()
