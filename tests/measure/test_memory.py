from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest
import torch

from sslbench.measure import memory
from sslbench.measure.memory import PeakMemory

DOCS = Path(__file__).parents[2] / "docs"


def held_bytes(count):
    """Memory that is in use until it is closed: what malloc gives may be of what it has kept."""
    block = mmap.mmap(-1, count)
    block.write(b"\1" * count)
    return block


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_peak_is_of_the_stretch_and_not_of_the_process():
    block = held_bytes(64 * 2**20)
    high = PeakMemory(torch.device("cpu")).bytes()
    if high is None:
        pytest.fail("the peak of this process cannot be reset here")
    block.close()
    low = PeakMemory(torch.device("cpu")).bytes()
    assert low < high - 32 * 2**20


def test_on_a_gpu_it_is_torchs_own_since_then(monkeypatch):
    """Images that lie there all along are part of it: the record says so (docs/results.md)."""
    gpu, asked = torch.device("cuda", 1), []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: asked.append(device) or 5)
    assert PeakMemory(gpu).bytes() == 5
    assert asked == [gpu, gpu]
    (row,) = [line for line in (DOCS / "results.md").read_text().splitlines() if line.startswith("| peak memory |")]
    assert "in `run` with the images that lie on the GPU all along" in row


@pytest.mark.gpu
def test_on_a_gpu_what_was_there_before_is_part_of_it():
    gpu = torch.device("cuda")
    images = torch.zeros(1 << 24, dtype=torch.uint8, device=gpu)
    memory = PeakMemory(gpu)
    work = torch.zeros(1 << 22, dtype=torch.uint8, device=gpu)
    assert memory.bytes() >= images.nbytes + work.nbytes


def test_where_it_cannot_be_known_it_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "none" / "clear_refs")
    assert PeakMemory(torch.device("cpu")).bytes() is None


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_what_is_used_grows_with_what_is_held_and_shrinks_when_it_is_released():
    device = torch.device("cpu")
    memory.release_unused(device)
    before, free = memory.used_bytes(device), memory.available_bytes(device)
    block = held_bytes(64 * 2**20)
    held = memory.used_bytes(device)
    assert held > before + 48 * 2**20
    assert free > 2**20
    block.close()
    memory.release_unused(device)
    assert memory.used_bytes(device) < held - 48 * 2**20


def test_without_the_files_of_linux_nothing_is_known(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert memory.used_bytes(torch.device("cpu")) is None
    assert memory.available_bytes(torch.device("cpu")) is None
    assert PeakMemory(torch.device("cpu")).reserved_bytes() is None
