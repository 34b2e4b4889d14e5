"""Images on their way to a GPU, on one that is played: its copies are made as late as its events allow."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from contextlib import contextmanager

import pytest
import torch

from sslbench.contracts.dataset import Split
from sslbench.testing.pretended_gpu import DEVICE, PretendedGpu
from sslbench.train import feed
from sslbench.train.data import Batches
from sslbench.train.feed import Feed, Ring, fits_on_device

GPU = torch.device("cuda", 0)
COPYING = "the stream that copies"


class OnGpu(torch.Tensor):
    """What was copied there; it notes the streams that use it."""

    def record_stream(self, stream):
        self.used_on = stream


class PlayedGpu:
    """A stream copies nothing until its event is waited for, by the host or by the stream that computes: this one."""

    def __init__(self, monkeypatch):
        self.queued, self.made, self.copies, self.host_waits = [], [], 0, []
        self.lock = threading.Lock()
        self.stream = self
        monkeypatch.setattr(feed, "copy_stream", lambda device: COPYING)
        monkeypatch.setattr(torch.cuda, "stream", self.on)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self)
        monkeypatch.setattr(torch.cuda, "Event", lambda blocking: Event(self))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (self.free, 1 << 40))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: self.reserved)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: self.allocated)
        monkeypatch.setattr(feed, "pinned", self.pinned)
        monkeypatch.setattr(feed, "copy_to", self.copy_to)
        self.free = self.reserved = self.allocated = 0
        self.copied_on = []

    @contextmanager
    def on(self, stream):
        """What the reading thread does within is done on that stream."""
        self.stream = stream
        yield
        self.stream = self

    def pinned(self, shape, dtype):
        self.made.append(tuple(shape))
        return torch.empty(shape, dtype=dtype)

    def copy_to(self, device, tensor):
        there = torch.zeros_like(tensor).as_subclass(OnGpu)
        self.queued.append(lambda: there.copy_(tensor))
        self.copies += 1
        self.copied_on.append(self.stream)
        return there

    def wait_event(self, event):
        assert threading.current_thread() is threading.main_thread()
        event.reach()


class Event:
    def __init__(self, gpu):
        self.gpu, self.before = gpu, None

    def record(self, stream):
        assert stream is COPYING
        self.before = list(self.gpu.queued)

    def reach(self):
        with self.gpu.lock:
            for copy in self.before:
                if copy in self.gpu.queued:
                    copy()
                    self.gpu.queued.remove(copy)

    def synchronize(self):
        self.gpu.host_waits.append(threading.current_thread().name)
        self.reach()


@pytest.fixture
def played(monkeypatch):
    return PlayedGpu(monkeypatch)


class Reader:
    def __init__(self, images, fails_at=None):
        self.images, self.fails_at, self.reads = images, fails_at, 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, indices):
        self.reads += 1
        if self.reads == self.fails_at:
            raise OSError("image 3 is gone")
        return self.images[indices]


def images(count=40):
    return torch.randint(0, 256, (count, 3, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


@pytest.mark.parametrize("wrap", [Reader, lambda images: images])
def test_batches_have_the_same_bits_and_order_and_a_buffer_waits_for_its_copy(played, wrap):
    split = Split(wrap(images()), torch.arange(40))
    expected = Batches(split, 4, 0, torch.device("cpu"), labels=True)
    fed = Batches(split, 4, 0, GPU, labels=False)
    for epoch in range(3):
        for there, here in zip(fed.epoch(epoch), expected.epoch(epoch), strict=True):
            assert torch.equal(there.images.as_subclass(torch.Tensor), here.images)
            assert there.images.used_on is played
    assert played.copies == 30 + 3
    assert Counter(map(str, played.copied_on)) == {COPYING: 30, str(played): 3}, "an order is due at once"
    assert sorted(played.made) == sorted([(4, 3, 5, 5)] * feed.PINNED + [(40,)] * 3)
    assert {name.partition("_")[0] for name in played.host_waits} == {"ahead"}
    assert reading_threads() == []


def test_a_smaller_last_batch_needs_no_buffer_of_its_own_and_a_larger_one_does(played):
    batches = Feed(Reader(images()), GPU).batches([torch.arange(6), torch.arange(4), torch.arange(3)] * 3)
    assert [len(batch) for batch in batches] == [6, 4, 3] * 3
    assert sorted(played.made) == [(3, 3, 5, 5), (4, 3, 5, 5), (6, 3, 5, 5)]
    assert len(list(Feed(Reader(images()), GPU).batches([torch.arange(2), *[torch.arange(8)] * 4]))) == 5
    assert played.made[3:] == [(2, 3, 5, 5), (8, 3, 5, 5), (8, 3, 5, 5), (8, 3, 5, 5)]


def test_what_a_reader_raises_arrives_in_its_turn_and_leaves_no_thread(played):
    batches = Feed(Reader(images(), fails_at=3), GPU).batches(torch.arange(40).split(4))
    next(batches), next(batches)
    with pytest.raises(OSError, match="image 3 is gone"):
        next(batches)
    assert reading_threads() == []


def test_an_epoch_that_is_left_leaves_no_thread_and_the_next_one_has_the_same_buffers(played):
    batches = Batches(Split(Reader(images())), 4, 0, GPU)
    for epoch in range(3):
        left = batches.epoch(epoch)
        next(left), next(left)
        left.close()
        assert reading_threads() == []
    assert played.made.count((4, 3, 5, 5)) == feed.PINNED
    one, other = batches.epoch(0), batches.epoch(0)
    for first, second in zip(one, other, strict=True):
        assert torch.equal(first.images, second.images)


def test_a_reader_that_makes_images_on_a_gpu_does_so_in_the_reading_thread_and_needs_no_buffer(played):
    class OnDevice(Reader):
        def read_on(self, indices, device):
            assert threading.current_thread().name.startswith("ahead")
            assert device == GPU
            return self.images[indices].as_subclass(OnGpu)

    made = list(Feed(OnDevice(images()), GPU).batches(torch.arange(40).split(10)))
    assert torch.equal(torch.cat(made).as_subclass(torch.Tensor), images())
    assert all(batch.used_on is played for batch in made)
    assert played.made == []


def test_the_free_memory_is_also_what_torch_keeps_of_work_that_is_over(played):
    held = images(10)
    played.free = 3 * held.nbytes
    assert fits_on_device(held, GPU)
    played.free -= 1
    assert not fits_on_device(held, GPU)
    played.free, played.reserved, played.allocated = 0, 5 * held.nbytes, 2 * held.nbytes
    assert fits_on_device(held, GPU)
    played.allocated += 1
    assert not fits_on_device(held, GPU)


def test_what_only_unreachable_objects_hold_is_free_as_well(played):
    """A method lies in circles of references."""

    class Method:
        def __init__(self):
            self.own = self

    held, method = images(10), Method()
    weakref.finalize(method, setattr, played, "allocated", 0)
    played.reserved = played.allocated = 3 * held.nbytes
    gc.disable()
    try:
        assert not fits_on_device(held, GPU)
        del method
        assert fits_on_device(held, GPU)
    finally:
        gc.enable()


def test_whatever_is_copied_to_a_gpu_is_copied_on_one_stream(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: object())
    feed.copy_stream.cache_clear()
    assert Ring(images(), GPU)._stream is Ring(Reader(images()), GPU)._stream
    feed.copy_stream.cache_clear()


@pytest.mark.pretended
def test_the_order_is_copied_once_an_epoch_and_nothing_else_once_images_and_labels_are_there(monkeypatch):
    monkeypatch.setattr(feed, "fits_on_device", lambda images, device: True)
    with PretendedGpu() as gpu:
        batches = Batches(Split(images(), torch.arange(40) % 3), 4, 0, DEVICE, labels=True)
        gpu.work.clear()
        made = [batch for epoch in range(2) for batch in batches.epoch(epoch)]
        assert {(batch.images.device, batch.labels.device) for batch in made} == {(DEVICE, DEVICE)}
        assert [crossing.rpartition(",")[0] for crossing in gpu.crossings] == ["cpu to cuda, [40]"] * 2
        assert gpu.work.waits == []


@pytest.mark.pretended
def test_images_that_a_feed_has_on_the_gpu_are_used_by_all_and_forgotten_with_it(played):
    stored = images()
    played.free = 1 << 30
    with PretendedGpu() as gpu:
        first = Feed(stored, DEVICE, keep=True)
        second, other = Feed(stored, DEVICE), Feed(stored.clone(), DEVICE)
        assert first.resident
        assert second.resident
        assert not other.resident
        batch = next(second.batches([torch.zeros(2, dtype=torch.int64, device=DEVICE)]))
        assert (batch.device, len(gpu.crossings)) == (DEVICE, 1)
        del first, second, batch
        assert not Feed(stored, DEVICE).resident


@pytest.mark.gpu
def test_batches_of_a_reader_are_the_same_on_a_gpu_that_is_busy():
    split = Split(Reader(images(400)), torch.arange(400) % 7)
    fed, expected = (Batches(split, 16, 0, torch.device(device), labels=True) for device in ("cuda", "cpu"))
    work = torch.randn(2048, 2048, device="cuda")
    kept = []
    for epoch in range(2):
        for there in fed.epoch(epoch):
            for _ in range(4):
                work = (work @ work).clamp(-1, 1)
            kept.append((there.images.clone(), there.labels.clone()))
    here = [batch for epoch in range(2) for batch in expected.epoch(epoch)]
    for (there, labels), batch in zip(kept, here, strict=True):
        assert torch.equal(there.cpu(), batch.images)
        assert torch.equal(labels.cpu(), batch.labels)
