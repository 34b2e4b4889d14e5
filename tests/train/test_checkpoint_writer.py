"""Checkpoints that are written while the training goes on: whole, of one step, and seldom enough."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sslbench.store.digests import write_digested
from sslbench.testing.pretended_gpu import DEVICE, PretendedGpu, without_numbers
from sslbench.train import checkpoint_writer
from sslbench.train.checkpoint import expected_bytes, load_tensors, save_tensors, training_state
from sslbench.train.checkpoint_writer import SEGMENT, Checkpoints

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still unless it is set: seconds, and CPU seconds of the thread that writes."""
    clock = SimpleNamespace(now=100.0, cpu=0.0)
    fake = SimpleNamespace(perf_counter=lambda: clock.now, thread_time=lambda: clock.cpu)
    monkeypatch.setattr(checkpoint_writer, "time", fake)
    return clock


@pytest.fixture
def gate(monkeypatch):
    """Holds up whatever writes a checkpoint until it is set."""
    gate = threading.Event()

    def write(path, head, parts):
        assert gate.wait(60)
        return write_digested(path, head, parts)

    monkeypatch.setattr(checkpoint_writer, "write_digested", write)
    return gate


def checkpoints(folder, every=1.0, device=CPU, size=0):
    warned = []
    made = Checkpoints(folder / "c.safetensors", every, device, size, warned.append)
    made.warned = warned
    return made


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "checkpoint"]


def test_what_changes_after_the_copy_is_not_in_the_file(tmp_path, gate):
    weights, losses = torch.arange(6.0).view(2, 3), [1.0]
    with checkpoints(tmp_path) as made:
        made.save({"w": weights}, {"losses": losses})
        weights.zero_()
        losses.append(2.0)
        gate.set()
        made.finish()
    tensors, facts = load_tensors(tmp_path / "c.safetensors")
    assert tensors["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert facts == {"losses": [1.0]}
    assert made.warned == threads() == []


def test_the_file_is_the_one_that_is_written_at_once(tmp_path, monkeypatch):
    """Also where tensors lie across pieces of staging memory, in no order of theirs or in none at all."""
    monkeypatch.setattr(checkpoint_writer, "SEGMENT", 40)
    images = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    tensors = {"i": images, "n": torch.tensor(3), "e": torch.zeros(0, 2), "b": torch.rand(13) > 0.5, "t": images.mT}
    save_tensors(tmp_path / "at once", tensors, {"a": 1})
    made = checkpoints(tmp_path)
    for _ in range(2):
        made.save(tensors, {"a": 1})
        made.finish()
        assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "at once").read_bytes()
    read, _ = load_tensors(tmp_path / "c.safetensors")
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


def test_staging_memory_is_made_once_and_grows_with_the_state(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_writer, "SEGMENT", 1000)
    made, places = checkpoints(tmp_path), []
    for numbers in (600, 600, 610, 1200):
        made.save({"w": torch.zeros(numbers)}, {})
        made.finish()
        places.append([segment.data_ptr() for segment in made._staging._segments])
    assert [len(place) for place in places] == [3, 3, 3, 5]
    assert places[0] == places[1] == places[2] == places[3][:3]


def test_the_next_one_is_due_after_fifty_times_what_the_last_one_cost(tmp_path, clock, gate):
    state = {"w": torch.zeros(3)}, {}
    with checkpoints(tmp_path, every=10.0) as made:
        clock.now = 109.9
        assert not made.due()
        clock.now = 110.0
        assert made.due()
        made.save(*state)
        clock.now = 1e6
        assert not made.due(), "the one before is not on the disk"
        clock.cpu = 0.5
        gate.set()
        made._written.wait(60)
        clock.now = 110.0 + 24.9
        assert not made.due()
        clock.now = 110.0 + 25.0
        assert made.due()
        made.save(*state)  # costs nothing
        made.finish()
        clock.now = 135.0 + 9.9
        assert not made.due()
        clock.now = 135.0 + 10.0
        assert made.due()


def test_before_the_first_one_its_cost_is_expected_from_the_size(tmp_path, clock):
    with checkpoints(tmp_path, every=1.0, size=10**9) as made:
        clock.now = 100.0 + 149
        assert not made.due()
        clock.now = 100.0 + 151
        assert made.due()


def test_expected_are_weights_buffers_and_two_moments_of_what_is_trained():
    model = nn.Sequential(nn.Linear(4, 2, bias=False), nn.BatchNorm1d(2, affine=False), nn.Linear(2, 2, bias=False))
    model[2].requires_grad_(False)
    assert expected_bytes(model) == 4 * (3 * 8 + 2 + 2 + 4) + 8


@pytest.mark.parametrize(("cores", "seconds"), [(2, 50 * 0.75), (16, 50 * 0.25)])
def test_on_a_gpu_the_thread_costs_time_only_where_cores_are_few(tmp_path, monkeypatch, clock, cores, seconds):
    """The copies cost what the GPU took for them, however soon they were queued."""
    event = SimpleNamespace(synchronize=lambda: None, elapsed_time=lambda other: 250.0)
    monkeypatch.setattr(checkpoint_writer, "recorded_event", lambda device: event)
    monkeypatch.setattr(checkpoint_writer, "usable_cores", lambda: set(range(cores)))
    monkeypatch.setattr(checkpoint_writer, "write_digested", lambda *_: setattr(clock, "cpu", clock.cpu + 0.5))
    with checkpoints(tmp_path, device=torch.device("cuda")) as made:
        made._staging._pinned = False
        made.save({"w": torch.zeros(3)}, {})
        made._written.wait(60)
        clock.now = 100.0 + seconds - 0.1
        assert not made.due()
        clock.now = 100.0 + seconds
        assert made.due()


def test_an_error_finishes_what_is_being_written_and_the_end_of_a_training_drops_it(tmp_path, gate):
    def train(value, error=None):
        with checkpoints(tmp_path) as made:
            made.save({"w": torch.tensor(value)}, {})
            threading.Timer(0, gate.set).start()
            if error:
                raise error

    for interruption in (KeyboardInterrupt, ValueError):
        with pytest.raises(interruption):
            train(1.0, interruption)
        assert load_tensors(tmp_path / "c.safetensors")[0]["w"] == 1
    gate.clear()
    made = checkpoints(tmp_path)
    made.save({"w": torch.tensor(2.0)}, {})
    made._dropped.set = lambda: (threading.Event.set(made._dropped), gate.set())
    made.__exit__(None)
    assert load_tensors(tmp_path / "c.safetensors")[0]["w"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]
    assert threads() == made.warned == []


def test_a_second_interrupt_drops_what_the_first_one_finishes(tmp_path, gate):
    save_tensors(tmp_path / "c.safetensors", {"w": torch.tensor(1.0)}, {})

    class Impatient(threading.Event):
        def wait(self, timeout=None):
            if not gate.is_set():
                made._dropped.is_set() and gate.set()
                if not gate.is_set():
                    raise KeyboardInterrupt
            return super().wait(timeout)

    made = checkpoints(tmp_path)
    made._written = Impatient()
    made.save({"w": torch.tensor(2.0)}, {})
    with pytest.raises(KeyboardInterrupt):
        made.finish()
    assert load_tensors(tmp_path / "c.safetensors")[0]["w"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]
    assert threads() == []


def test_while_one_is_written_the_one_before_is_whole(tmp_path, monkeypatch):
    """What a process that is killed at that moment leaves."""
    monkeypatch.setattr(checkpoint_writer, "SEGMENT", 64)
    begun, go_on = threading.Event(), threading.Event()

    def write(path, head, parts):
        def held_up():
            for number, part in enumerate(parts):
                if number == 1:
                    begun.set()
                    assert go_on.wait(60)
                yield part

        return write_digested(path, head, held_up())

    made = checkpoints(tmp_path)
    made.save({"w": torch.zeros(100)}, {})
    made.finish()
    monkeypatch.setattr(checkpoint_writer, "write_digested", write)
    made.save({"w": torch.ones(100)}, {})
    assert begun.wait(60)
    assert load_tensors(tmp_path / "c.safetensors")[0]["w"].sum() == 0
    go_on.set()
    made.finish()
    assert load_tensors(tmp_path / "c.safetensors")[0]["w"].sum() == 100


def test_what_keeps_it_from_being_written_is_a_warning(tmp_path, monkeypatch):
    made = checkpoints(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    made.save({"w": torch.zeros(3)}, {})
    made.finish()
    monkeypatch.setattr(checkpoint_writer, "write_digested", lambda *_: 1 / 0)
    made.save({"w": torch.zeros(3)}, {})
    made.finish()
    assert made.warned == [
        "no checkpoint written: [Errno 28] No space left on device",
        "no checkpoint written: ZeroDivisionError: division by zero",
    ]
    assert list(tmp_path.iterdir()) == []
    assert threads() == []


def no_memory(monkeypatch):
    monkeypatch.setattr(checkpoint_writer, "available_bytes", lambda device: 7)


def no_pinned_memory(monkeypatch):
    def refused(*_, **__):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(checkpoint_writer.torch, "empty", refused)


@pytest.mark.parametrize("lacking", [no_memory, no_pinned_memory])
def test_without_memory_for_a_copy_the_training_waits_and_says_so_once(tmp_path, monkeypatch, clock, lacking):
    lacking(monkeypatch)
    monkeypatch.setattr(threading.Thread, "start", None)
    made = checkpoints(tmp_path)
    for value in (1.0, 2.0):
        made.save({"w": torch.tensor(value)}, {})
        assert load_tensors(tmp_path / "c.safetensors")[0]["w"] == value
    assert made.warned == [
        "training waits while checkpoints are written: too little memory is free for a copy of its state"
    ]


@pytest.mark.pretended
def test_on_a_gpu_a_checkpoint_copies_to_pinned_memory_and_waits_for_nothing(tmp_path, monkeypatch):
    done = []
    event = SimpleNamespace(synchronize=lambda: done.append("copied"), elapsed_time=lambda other: 0.0)
    write = checkpoint_writer.write_digested
    monkeypatch.setattr(checkpoint_writer, "recorded_event", lambda device: event)
    monkeypatch.setattr(checkpoint_writer, "write_digested", lambda *given: done.append("written") or write(*given))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.rand(2, 3, 8, 8)).square().mean().backward()
    optimizer.step()
    tensors, facts = training_state(model, optimizer)
    made = checkpoints(tmp_path, device=DEVICE)
    with PretendedGpu() as gpu:
        there = {name: without_numbers(tensor) for name, tensor in tensors.items()}
        gpu.work.clear()
        made.save(there, facts)
        assert gpu.work.waits == []
        # Weights, two moments and a number of steps each; of the norm's buffers three.
        assert len(gpu.crossings) == 4 * 4 + 3
        assert {line.split(",")[0] for line in gpu.crossings} == {"cuda to cpu"}
        # The convolution's weight and moments, whose memory is not in the file's order, are put into it there.
        assert dict(gpu.launches) == {"clone": 3}
    made.finish()
    assert done == ["copied", "written"], "the bytes are on the host only after the event"
    read, _ = load_tensors(tmp_path / "c.safetensors")
    assert read.keys() == tensors.keys()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_next_step_changes_nothing_of_what_is_copied(tmp_path):
    weights = torch.arange(2 * SEGMENT / 4, device="cuda", dtype=torch.float32)
    made = checkpoints(tmp_path, device=torch.device("cuda"))
    for _ in range(3):
        expected = weights.cpu()
        made.save({"w": weights}, {})
        weights.add_(1)
        made.finish()
        assert torch.equal(load_tensors(tmp_path / "c.safetensors")[0]["w"], expected)
    assert made.warned == []
