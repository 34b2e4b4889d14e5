"""Gives Ray its tasks and brings their events and files back."""

from __future__ import annotations

import os
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sslbench import Emit, Ended, Failure, StageStarted, Warned, Work, from_line, pretraining_files, to_line
from sslbench_plugins.executors.ray.connection import Connection
from sslbench_plugins.executors.ray.failure import CANCELLED, failure_of
from sslbench_plugins.executors.ray.files import Arrivals, pieces_of, state_of
from sslbench_plugins.executors.ray.needs import Needs, RayParams, largest
from sslbench_plugins.executors.ray.task import Message, do

AT_ONCE = 8
"""messages of a task that may wait here to be read"""
PATIENCE = 30.0
"""seconds that tasks have to end in at the end"""


class Ray:
    """A task for each piece of work, in a worker of Ray that does nothing else. Tasks are never tried again by Ray."""

    def __init__(self, params: RayParams, device: str, devices: int, connection: Connection) -> None:
        self.params, self.connection = params, connection
        self._device, self._count = device, devices
        self._tasks: list[Task] = []
        self._mark = (params.shared, f".sslbench-ray-{uuid.uuid4().hex}", uuid.uuid4().hex)
        self._marked: set[Path] = set()

    def devices(self) -> tuple[str, ...]:
        """The kinds alone: which GPU a task gets is Ray's business."""
        return ("cuda", "cpu") if self._gpus else ("cpu",)

    @cached_property
    def slots(self) -> int:
        """As given, else what the cluster has room for. Raises UserError where it cannot be reached."""
        return self.params.slots or max(1, self.needs.room(self.connection.nodes()))

    @cached_property
    def needs(self) -> Needs:
        """What a task asks for."""
        return Needs.of(self.params, self._gpus, self._count, self.connection.nodes())

    @cached_property
    def _gpus(self) -> float:
        """GPUs of a task."""
        if self.params.gpus is not None:
            return self.params.gpus
        if self._device == "cpu":
            return 0
        return self._count if self._device == "cuda" or self._has_gpus() else 0

    def _has_gpus(self) -> bool:
        if self.connection.is_local:
            import torch

            return torch.cuda.is_available()
        return any(node.get("GPU") for node in self.connection.nodes())

    @cached_property
    def _function(self) -> Any:
        """``do`` as a function of Ray. A worker does one task: what it leaves in a GPU's memory goes with it."""
        options = {"max_calls": 1, "max_retries": 0, "num_returns": "streaming"}
        remote = self.connection.ray.remote(_generator_backpressure_num_objects=AT_ONCE, **options)
        return remote(do).options(**self.needs.options())

    def submit(self, work: Work, emit: Emit) -> Task:
        """Start a task. Raises UserError where the cluster cannot be reached."""
        self.connection.open()
        nodes = self.connection.nodes()
        if not self.needs.room(nodes):
            emit(Warned(f"Ray: no node has {self.needs.in_words()} now (at most {largest(nodes)}); it waits for one"))
        emit(StageStarted("waiting for Ray"))
        work = replace(work, out=os.path.abspath(work.out), at_once=self.needs.at_once(nodes, self.slots))
        self._make_mark(Path(work.out))
        ray, folder = self.connection.ray, pretraining_files(Path(work.out), work.key).folder
        kept = [] if work.fresh or self.params.shared == "true" else [*pieces_of(folder, state_of(folder))]
        stream = self._function.remote(to_line(work), self._mark, [ray.put(piece) for piece in kept])
        task = Task(ray, stream, work, emit)
        self._tasks = [other for other in self._tasks if other.is_alive] + [task]
        task.start()
        return task

    def _make_mark(self, out: Path) -> None:
        """Put a file where workers that see the folder find it; where it cannot be written, none does."""
        _, name, content = self._mark
        if out not in self._marked:
            self._marked.add(out)
            with suppress(OSError):
                (out / name).write_text(content, encoding="utf-8")

    def close(self) -> None:
        """End what is left, and leave the cluster."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            task.thread.join(PATIENCE)
        for out in self._marked:
            with suppress(OSError):
                (out / self._mark[1]).unlink()
        self.connection.close()


@dataclass
class Task:
    """One task, followed by a thread of its own until it has ended."""

    ray: Any
    stream: Any
    """refs of messages"""
    work: Work
    emit: Emit

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._follow, name=f"ray {self.work.key}", daemon=True)
        self._arrivals = Arrivals(pretraining_files(Path(self.work.out), self.work.key).folder)
        self._cancelled = False
        self._ended: Ended | None = None

    def start(self) -> None:
        """Follow it."""
        self.thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.thread.is_alive()

    def cancel(self) -> None:
        """End it, with the process that it runs in."""
        if self.is_alive:
            self._cancelled = True
            with suppress(Exception):  # it has ended meanwhile
                self.ray.cancel(self.stream, force=True)

    def _follow(self) -> None:
        failure: Failure | None = Failure("lost: the task ended without a word")
        try:
            for ref in self.stream:
                self._take(self.ray.get(ref))
        except BaseException as error:
            failure = failure_of(error)
        if self._ended is not None:
            failure = self._ended.failure
        elif self._cancelled:
            failure = CANCELLED
        for name, reason in self._arrivals.failed.items():
            self.emit(Warned(f"{self._arrivals.folder / name}: not kept: {reason}"))
        self.emit(Ended(self.work.key, failure))

    def _take(self, message: Message) -> None:
        what, given = message
        if what == "file":
            self._arrivals.take(given)
        elif what == "gone":
            self._arrivals.remove(given)
        for line in given if what == "events" else ():
            event = from_line(line)
            if isinstance(event, Ended):
                self._ended = event
            elif not isinstance(event, Work):
                self.emit(event)
