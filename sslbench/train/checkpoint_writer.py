"""Checkpoints of a training that goes on meanwhile: its state is copied between two steps, and a thread writes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sslbench.hooks.registry import one_line
from sslbench.measure.clocks import recorded_event
from sslbench.measure.memory import available_bytes
from sslbench.store.digests import write_digested
from sslbench.store.provenance import usable_cores
from sslbench.train.checkpoint import bytes_of, content, layout

SHARE = 0.02
"""of a training's time that its checkpoints may cost"""
SECONDS_PER_BYTE = {"cpu": 3e-9, "cuda": 0.5e-9}
"""what a checkpoint is expected to cost before one was written"""
SEGMENT = 32 << 20
"""bytes of a piece of staging memory. Torch rounds what it pins up to a power of two, so large pieces would be
larger still; and between two of them a writing can be dropped."""


class Dropped(Exception):
    """Nobody wants the checkpoint that is being written."""


class Staging:
    """Memory of the host that holds a state while it is written, kept from one checkpoint to the next."""

    def __init__(self, device: torch.device) -> None:
        self._pinned = device.type == "cuda"
        self._segments: list[Tensor] = []

    def reserve(self, size: int) -> bool:
        """Whether there is room for ``size`` bytes. What is missing may take half of the memory that is left."""
        missing = size - SEGMENT * len(self._segments)
        available = available_bytes(torch.device("cpu"))
        if missing > 0 and available is not None and missing > available // 2:
            return False
        try:
            while SEGMENT * len(self._segments) < size:
                self._segments.append(torch.empty(SEGMENT, dtype=torch.uint8, pin_memory=self._pinned))
        except RuntimeError:  # torch's, where there is no memory or it cannot be pinned
            self._segments.clear()
            return False
        return True

    def hold(self, tensors: Iterable[Tensor]) -> list[memoryview]:
        """Copy the tensors, for which there is room, and return the memory that has their bytes, one after the other.

        From a GPU they are copied on its current stream: what is given to that later comes after the copies, and the
        bytes are there when an event that is recorded now has come.
        """
        end = 0
        for tensor in tensors:
            source = bytes_of(tensor)
            while len(source):
                segment, begin = divmod(end, SEGMENT)
                part, source = source[: SEGMENT - begin], source[SEGMENT - begin :]
                self._segments[segment][begin : begin + len(part)].copy_(part, non_blocking=True)
                end += len(part)
        return [content(segment[: end - begin]) for begin, segment in self._begun(end)]

    def _begun(self, end: int) -> Iterator[tuple[int, Tensor]]:
        return zip(range(0, end, SEGMENT), self._segments, strict=False)


class Checkpoints:
    """The checkpoints of one training, in one file. ``with`` it the training runs: what is being written when that
    ends with an error is finished, and dropped when it ends well.

    The next one is begun when ``every`` seconds have passed and fifty times what the last one cost, but not before
    that is on the disk. What keeps one from being written is a warning.
    """

    def __init__(
        self, path: Path | None, every: float, device: torch.device, size: int, warn: Callable[[str], None]
    ) -> None:
        """``path`` None: none is written. ``size``: bytes of the state, about."""
        self.path, self._every, self._device, self._warn = path, every, device, warn
        self._staging = Staging(device)
        # Where a GPU's training leaves no core to the thread that writes, and on a CPU, it takes time from the steps.
        self._takes_core = device.type == "cpu" or len(usable_cores()) < 3
        self.cost = size * SECONDS_PER_BYTE["cpu" if self._takes_core else device.type]
        """seconds of training that the last one took, or the first one is expected to take"""
        self._since = time.perf_counter()
        self._thread: threading.Thread | None = None
        self._written, self._dropped = threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._has_waited = False

    def __enter__(self) -> Checkpoints:
        self._since = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self._dropped.set()
        self.finish()

    def due(self) -> bool:
        """Whether to save now."""
        if self.path is None or (self._thread is not None and not self._written.is_set()):
            return False
        self.finish()
        return time.perf_counter() - self._since >= max(self._every, self.cost / SHARE)

    def save(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Begin to write a state, which may change as soon as this returns. Waits for the one before."""
        self.finish()
        begin = time.perf_counter()
        head, ordered = layout(tensors, facts)
        staged = self._staging.reserve(sum(tensor.nbytes for tensor in ordered))
        if staged:
            copied = [recorded_event(self._device)] if self._device.type == "cuda" else []
            parts = self._staging.hold(ordered)
            copied += [recorded_event(self._device)] if copied else []
            lost = time.perf_counter() - begin
            self._written.clear()
            thread = threading.Thread(target=self._write, args=(head, parts, lost, copied), name="checkpoint")
            thread.start()
            self._thread = thread
        else:
            self._warn_of_waiting()
            self._write(head, (content(bytes_of(tensor).cpu()) for tensor in ordered))
            self.cost = time.perf_counter() - begin
            self._report()
        self._since = time.perf_counter()

    def _warn_of_waiting(self) -> None:
        if not self._has_waited:
            self._has_waited = True
            self._warn(
                "training waits while checkpoints are written: too little memory is free for a copy of its state"
            )

    def _write(
        self, head: bytes, parts: Iterable[memoryview], lost: float = 0.0, copied: Sequence[torch.cuda.Event] = ()
    ) -> None:
        """``lost``: seconds in which the training copied its state; ``copied``: events before and after the copies."""
        begin = time.thread_time()
        try:
            if copied:
                copied[1].synchronize()
                lost = max(lost, copied[0].elapsed_time(copied[1]) / 1000)
            assert self.path is not None
            write_digested(self.path, head, self._wanted(parts))
        except Dropped:
            pass
        except Exception as error:
            self._error = error
        finally:
            self.cost = lost + (time.thread_time() - begin if self._takes_core else 0.0)
            self._written.set()

    def _wanted(self, parts: Iterable[memoryview]) -> Iterator[memoryview]:
        for part in parts:
            if self._dropped.is_set():
                raise Dropped
            yield part

    def finish(self) -> None:
        """Wait for what is being written, and report what kept it from that. An interrupt meanwhile drops it."""
        if self._thread is not None:
            try:
                self._written.wait()
            except BaseException:
                self._dropped.set()
                raise
            finally:
                self._written.wait()
                self._thread.join()
                self._thread = None
        self._report()

    def _report(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            # Training is worth more than its checkpoint.
            self._warn(f"no checkpoint written: {error if isinstance(error, OSError) else one_line(error)}")
