from __future__ import annotations

import gc
import weakref
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from sslbench.speed import largest_batch as module
from sslbench.speed.largest_batch import MOST, Deadline, by_growth, by_trying, largest_batch


@pytest.fixture
def pretended_cuda(monkeypatch):
    """A device that does what it is asked for and has no memory to count."""
    monkeypatch.setattr(module, "PeakMemory", lambda device: SimpleNamespace(bytes=lambda: None))
    monkeypatch.setattr(module, "used_bytes", lambda device: None)
    monkeypatch.setattr(module, "release_unused", lambda device: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)


@pytest.mark.parametrize("room", [2, 3, 7, 16, 100, 1000, 4097])
def test_the_largest_batch_is_found_to_an_eighth(room):
    tried = []

    def refusal(size):
        tried.append(size)
        return None if size <= room else "ran out of memory"

    limit = by_trying(refusal)
    assert limit.batch <= room < limit.batch + max(1, limit.batch // 8) + 1
    assert len(tried) == len(set(tried)) <= 20
    next_larger = min(size for size in tried if size > room)
    assert limit.how == f"tried; the next larger one tried, {next_larger}, ran out of memory"
    assert str(limit) == str(limit.batch)


def test_where_nothing_fits_there_is_no_batch():
    limit = by_trying(lambda size: "ran out of memory")
    assert (limit.batch, limit.how) == (None, "not even 2 images fit: a batch of them ran out of memory")


@pytest.mark.parametrize("most", [1000, MOST])
def test_where_all_fit_trying_ends_at_the_limit_and_says_so(most):
    tried = []
    limit = by_trying(tried.append, most=most)
    assert (limit.batch, max(tried), limit.at_least) == (most, most, True)
    assert limit.how == "tried; all fitted, and no larger one is tried"
    assert str(limit) == f"≥{most}"


class Clock:
    """A step of a batch takes a millisecond an image."""

    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at

    def step(self, size):
        self.at += size / 1000


def test_trying_ends_when_the_time_does():
    clock = Clock()
    limit = by_trying(clock.step, Deadline(1.0, clock))
    # 2 + 4 + ... + 256 images took 510 ms; 512 more would not end in time.
    assert (limit.batch, limit.at_least, limit.how) == (256, True, "tried; no time for 512 images (1 s)")


def test_what_is_no_question_of_size_ends_the_search_with_what_was_found():
    def refusal(size):
        if size > 8:
            raise ValueError("a plugin's own")

    limit = by_trying(refusal)
    assert (limit.batch, limit.at_least, limit.how) == (8, True, "tried; 16 images: ValueError: a plugin's own")
    with pytest.raises(ValueError, match="at once"):
        by_trying(lambda size: (_ for _ in ()).throw(ValueError("at once")))


WAYS = {
    "": "ran out of memory",  # of the host
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`": "ran out of memory",
    "GET was unable to find an engine to execute this computation": "ran out of memory",
    "CUDA error: out of memory": "ran out of memory",
    "Expected canUse32BitIndexMath(input) && canUse32BitIndexMath(output) to be true, but got false.": "has more"
    " elements than a kernel can count (RuntimeError: Expected canUse32BitIndexMath(input) &&"
    " canUse32BitIndexMath(output) to be true, but got false.)",
}


@pytest.mark.parametrize("text", WAYS)
def test_every_way_to_run_out_ends_the_search_well(pretended_cuda, text):
    def build(size):
        def step():
            if size > 100:
                raise RuntimeError(text) if text else MemoryError

        return SimpleNamespace(arm=lambda: SimpleNamespace(step=step, unlike=1))

    limit = largest_batch(build, torch.device("cuda"))
    assert limit.batch <= 100 < limit.batch + limit.batch // 8 + 1
    assert limit.how.endswith(f", {WAYS[text]}")
    assert not limit.at_least


def test_a_batch_that_did_not_fit_is_gone_before_the_next_is_tried(pretended_cuda, monkeypatch):
    """A method lies in circles of references, which only the collector frees; then torch gives its memory back."""
    alive, released = [], []

    def release_unused(device):
        assert all(ref() is None for ref in alive)
        released.append(device)

    monkeypatch.setattr(module, "release_unused", release_unused)

    class Step:
        def __init__(self, size):
            self.size, self.own = size, self
            alive.append(weakref.ref(self))

        def arm(self):
            return SimpleNamespace(step=self.step, unlike=1)

        def step(self):
            assert sum(ref() is not None for ref in alive) == 1
            if self.size > 20:
                raise torch.OutOfMemoryError("no room")

    gc.disable()
    try:
        limit = largest_batch(Step, torch.device("cuda"))
    finally:
        gc.enable()
    assert limit.how == "tried; the next larger one tried, 22, ran out of memory"
    assert len(released) == len(alive)


def test_a_batch_fits_when_a_step_like_all_others_does(pretended_cuda):
    """The first steps of a CUDA graph are none: it needs its memory when it is captured."""

    def build(size):
        steps = count(1)

        def step():
            if next(steps) == 5 and size > 2:
                raise torch.OutOfMemoryError("no room")

        return SimpleNamespace(arm=lambda: SimpleNamespace(step=step, unlike=4))

    assert largest_batch(build, torch.device("cuda")).batch == 2


def test_an_error_of_the_first_batch_is_the_reason(pretended_cuda):
    def build(size):
        raise ImportError("no such backbone")

    assert largest_batch(build, torch.device("cuda")).how == "ImportError: no such backbone"


def test_a_line_through_two_peaks_reaches_the_available_memory():
    limit = by_growth(lambda size: 1000 + 50 * size, available=10_000)
    assert limit.batch == (9000 - 1000) // 50
    assert "90% of the available memory" in limit.how


@pytest.mark.parametrize(
    ("peak", "available", "words"),
    [
        (lambda size: None, 1000, "does not say how much memory"),
        (lambda size: 50, None, "does not say how much memory"),
        (lambda size: 50, 1000, "do not differ"),
    ],
)
def test_what_cannot_be_known_is_said(peak, available, words):
    limit = by_growth(peak, available)
    assert limit.batch is None
    assert words in limit.how


def test_too_little_memory_for_two_images_is_no_batch():
    assert by_growth(lambda size: 1000 * size, available=1500).batch is None
