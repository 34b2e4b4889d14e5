"""Batches of images on their way to the model: read ahead by a thread, which also copies them to a GPU while that
computes on the batches before."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeVar
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from sslbench.contracts.dataset import DeviceReader, ImageReader
from sslbench.measure.memory import available_bytes

PINNED = 3
"""pinned buffers of a feed: one that is filled, one that is copied, and one that makes up for a slow read"""
RESIDENT_SHARE = 3
"""images lie on a GPU where this many times their bytes are free there"""

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_batches(images: ImageReader | Tensor, index_batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """uint8 ``[B, 3, H, W]`` for each int64 ``[B]`` of ``index_batches``. Images that are not in memory are read by
    another thread while the caller works on the batch before."""
    if isinstance(images, Tensor):
        # index_select copies whole images; indexing copies bytes, which takes two to six times as long.
        return (images.index_select(0, indices) for indices in index_batches)
    return ahead(images.__getitem__, index_batches, threads=1)


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, waiting: int = 1
) -> Generator[Result, None, None]:
    """``function`` of every item, in order, computed by threads ahead of the caller: ``threads + waiting`` at most.

    What ``function`` raises is raised in place of its result. However the caller ends, no thread is left.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    started: deque[Future[Result]] = deque()
    try:
        for item in items:
            started.append(pool.submit(function, item))
            if len(started) > threads + waiting:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(eq=False)
class Resident:
    """Images in memory, and the same on a GPU."""

    in_memory: Tensor
    """held, so that no other tensor can have its ``id`` meanwhile"""
    on_gpu: Tensor


_RESIDENT: WeakValueDictionary[tuple[int, torch.device], Resident] = WeakValueDictionary()
"""By the ``id`` of the images in memory: what any feed has on a GPU now, every feed uses."""


class Feed:
    """Batches of one split's images on one device, in the order that is asked for, the same bits wherever they lie."""

    def __init__(self, images: ImageReader | Tensor, device: torch.device, keep: bool = False) -> None:
        """``keep``: put all images on a GPU, for as long as the feed exists, if they are in memory and fit there."""
        self._images, self._device = images, device
        self._idle: list[Ring] = []
        self._resident: Resident | None = None
        if device.type == "cuda" and isinstance(images, Tensor):
            key = id(images), device
            self._resident = _RESIDENT.get(key)
            if self._resident is None and keep and fits_on_device(images, device):
                self._resident = _RESIDENT[key] = Resident(images, images.to(device))

    @property
    def resident(self) -> bool:
        """Whether the images lie on the GPU: then indices are best there too."""
        return self._resident is not None

    def batches(self, index_batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """uint8 ``[B, 3, H, W]`` on the device for each int64 ``[B]``. The caller never waits for a GPU: its current
        stream does. What reading raises is raised in the batch's place; however the caller ends, no thread is left."""
        if self._resident is not None:
            images = self._resident.on_gpu
            return (images.index_select(0, indices.to(self._device, non_blocking=True)) for indices in index_batches)
        if self._device.type == "cuda":
            return self._copied(index_batches)
        if isinstance(self._images, DeviceReader):
            return ahead(partial(self._images.read_on, device=self._device), index_batches, threads=1)
        return read_batches(self._images, index_batches)

    def _copied(self, index_batches: Iterable[Tensor]) -> Iterator[Tensor]:
        ring = self._idle.pop() if self._idle else Ring(self._images, self._device)
        try:
            with closing(ahead(ring.fetch, index_batches, threads=1)) as fetched:
                for images, copied in fetched:
                    yield ring.hand_over(images, copied)
        finally:
            self._idle.append(ring)


class Ring:
    """Pinned buffers that one thread fills, and the stream on which it copies them to a GPU."""

    def __init__(self, images: ImageReader | Tensor, device: torch.device) -> None:
        self._images, self._device = images, device
        self._stream = copy_stream(device)
        self._slots = deque(Slot() for _ in range(PINNED))

    def fetch(self, indices: Tensor) -> tuple[Tensor, torch.cuda.Event]:
        """For the reading thread: a batch on the GPU, and the event after which it is there."""
        slot = self._slots[0]
        self._slots.rotate(-1)
        if slot.copied is not None:
            slot.copied.synchronize()
        with torch.cuda.stream(self._stream):
            if isinstance(self._images, DeviceReader):
                images = self._images.read_on(indices, self._device)
            else:
                images = copy_to(self._device, slot.filled(self._images, indices))
        # Blocking: the thread sleeps while it waits, and takes no core from those that decode.
        slot.copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        slot.copied.record(self._stream)
        return images, slot.copied

    def hand_over(self, images: Tensor, copied: torch.cuda.Event) -> Tensor:
        """For the thread that computes: what it queues from now on comes after the copy, and the memory of ``images``
        is free again only after that."""
        computing = torch.cuda.current_stream(self._device)
        computing.wait_event(copied)
        images.record_stream(computing)
        return images


@cache
def copy_stream(device: torch.device) -> torch.cuda.Stream:
    """The one stream of all rings of a GPU: memory that torch keeps for a stream serves no other."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class Slot:
    """A pinned buffer, and the event after which it may be filled again."""

    def __init__(self) -> None:
        self.copied: torch.cuda.Event | None = None
        self._buffer: Tensor | None = None

    def filled(self, images: ImageReader | Tensor, indices: Tensor) -> Tensor:
        """The images at ``indices``, in the buffer."""
        if isinstance(images, Tensor):
            return torch.index_select(images, 0, indices, out=self._room(len(indices), images))
        read = images[indices]
        return self._room(len(read), read).copy_(read)

    def _room(self, count: int, like: Tensor) -> Tensor:
        """``[count, ...]`` of the buffer, which is made once unless images of another size, or more of them, come."""
        buffer = self._buffer
        if buffer is None or buffer.shape[1:] != like.shape[1:] or len(buffer) < count:
            buffer = self._buffer = pinned((count, *like.shape[1:]), like.dtype)
        return buffer[:count]


def pinned(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """An empty tensor in memory from which a GPU can copy by itself."""
    return torch.empty(shape, dtype=dtype, pin_memory=True)


def copy_to(device: torch.device, tensor: Tensor) -> Tensor:
    """The pinned tensor on a GPU, copied on the current stream; no thread waits for it."""
    return tensor.to(device, non_blocking=True)


def order_on(device: torch.device, order: Tensor) -> Tensor:
    """An epoch's order on the device: one copy an epoch, for which nothing waits."""
    return copy_to(device, pinned(order.shape, order.dtype).copy_(order)) if device.type == "cuda" else order


def fits_on_device(images: Tensor, device: torch.device) -> bool:
    """Whether the images take at most a third of the GPU memory that is free. What torch keeps of work that is over,
    and what only unreachable objects hold of it, counts as free, so that what ran before makes no difference."""
    gc.collect()
    available = available_bytes(device)
    return available is not None and RESIDENT_SHARE * images.nbytes <= available
