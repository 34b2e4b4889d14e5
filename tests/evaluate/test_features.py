from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from sslbench.evaluate import features
from sslbench.evaluate.features import StaleFeatures, extract_all, load_extraction, save_extraction, spread
from sslbench.testing.fakes import TinyBackbone, TinyDataset
from sslbench.testing.pretended_gpu import DEVICE, PretendedGpu
from sslbench.train.data import Batches, make_splits
from sslbench.train.views import EvaluationView

CPU = torch.device("cpu")


@pytest.fixture
def data():
    return make_splits(TinyDataset(), evaluate_on="test", train_images=None, image_size=None)


def test_features_are_the_encoder_in_eval_mode_whatever_the_batch(data, monkeypatch):
    torch.manual_seed(0)
    encoder = TinyBackbone(6).train()
    encoder.net[1].running_mean.fill_(0.1)
    again = extract_all(encoder, data, CPU, "fp32")
    monkeypatch.setattr(features, "BATCH", 7)
    extraction = extract_all(encoder, data, CPU, "fp32")
    assert extraction.train.features.shape == (64, 6)
    assert torch.allclose(extraction.train.features, again.train.features, atol=1e-6)
    assert torch.equal(extraction.test.labels, data.test.labels)
    assert encoder.training
    assert not extraction.train.features.requires_grad
    assert extraction.images_per_second > 0


def test_an_encoder_that_changes_while_it_is_read_is_caught(data):
    class Restless(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, images):
            self.calls += 1
            return images.flatten(1)

    with pytest.raises(RuntimeError, match="changed its weights or buffers in eval mode"):
        extract_all(Restless(), data, CPU, "fp32")


def test_features_come_back_from_disk_as_they_were(data, tmp_path):
    extraction = extract_all(nn.Flatten(), data, CPU, "fp32")
    save_extraction(tmp_path / "f", extraction)
    again = load_extraction(tmp_path / "f", CPU)
    for part in ("train", "test"):
        assert torch.equal(getattr(extraction, part).features, getattr(again, part).features)
        assert torch.equal(getattr(extraction, part).labels, getattr(again, part).labels)
    assert (again.spread, again.seconds) == (extraction.spread, extraction.seconds)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux what is mapped")
def test_kept_features_are_mapped_into_memory_not_read(data, tmp_path):
    save_extraction(tmp_path / "kept", extract_all(nn.Flatten(), data, CPU, "fp32"))
    again = load_extraction(tmp_path / "kept", CPU)
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    spans = [line[0].split("-") for line in lines if line[-1] == str(tmp_path / "kept")]
    for tensor in (again.train.features, again.test.features, again.test.labels):
        assert any(int(first, 16) <= tensor.data_ptr() < int(last, 16) for first, last in spans)


def test_features_of_something_else_are_refused_and_what_is_not_named_does_not_matter(data, tmp_path):
    extraction = extract_all(nn.Flatten(), data, CPU, "fp32")
    save_extraction(tmp_path / "f", extraction, {"key": "a", "precision": "fp32"})
    for made_of in (None, {}, {"key": "a"}, {"key": "a", "precision": "fp32"}):
        assert torch.equal(load_extraction(tmp_path / "f", CPU, made_of).test.features, extraction.test.features)
    with pytest.raises(StaleFeatures, match=r"f was made with precision fp32, not bf16"):
        load_extraction(tmp_path / "f", CPU, {"key": "a", "precision": "bf16"})
    with pytest.raises(StaleFeatures, match=r"f was made with weights None, not 12"):
        load_extraction(tmp_path / "f", CPU, {"weights": "12"})


def test_spread_is_one_in_all_directions_and_zero_in_one():
    assert spread(
        torch.eye(4).repeat(3, 1) * torch.tensor([[1.0], [-1.0], [2.0]]).repeat_interleave(4, 0)
    ) == pytest.approx(1.0, abs=0.05)
    assert spread(torch.ones(5, 3) * torch.arange(1, 6)[:, None]) == pytest.approx(0, abs=1e-7)
    assert spread(torch.zeros(5, 3)) == 0
    assert spread(torch.tensor([[1.0, float("nan")]])) is None


def test_bfloat16_features_are_stored_as_float32(data):
    torch.manual_seed(0)
    extraction = extract_all(TinyBackbone(6), data, CPU, "bf16")
    assert extraction.train.features.dtype == torch.float32


def test_classes_are_those_of_both_splits(data):
    extraction = extract_all(TinyBackbone(6), data, CPU, "fp32")
    assert extraction.classes == 2
    assert replace(extraction, test=replace(extraction.test, labels=extraction.test.labels * 4)).classes == 5
    assert replace(extraction, train=replace(extraction.train, labels=None)).classes == 2
    assert (
        replace(
            extraction, train=replace(extraction.train, labels=None), test=replace(extraction.test, labels=None)
        ).classes
        == 0
    )


GPU = torch.device("cuda", 0)


@pytest.fixture
def memory(monkeypatch):
    """Of a GPU on which an image takes 100 bytes while it is encoded, and 1,000 bytes hold the network."""

    class Memory:
        free, most = 1 << 40, None
        error = torch.OutOfMemoryError("CUDA out of memory")

        def encode(self, images):
            if self.most is not None and len(images) > self.most:
                raise self.error
            self.peak = 1000 + 100 * len(images)
            seen.append(len(images))
            return images[:, :1] * 2

        def bytes(self):
            return self.peak

    memory, seen = Memory(), []
    memory.seen, memory.released = seen, 0
    monkeypatch.setattr(features, "PeakMemory", lambda device: memory)
    monkeypatch.setattr(features, "used_bytes", lambda device: 1000)
    monkeypatch.setattr(features, "available_bytes", lambda device: memory.free)
    monkeypatch.setattr(features, "release_unused", lambda device: setattr(memory, "released", memory.released + 1))
    return memory


def in_batches(memory, device=GPU, size=4, rows=100):
    """What the encoder makes of numbered images, and how many it was given at once."""
    batching, images = features.Batching(size, device), torch.arange(rows)[:, None]
    parts = [
        part for rows in batching.split(torch.arange(rows)) for part in batching.encoded(memory.encode, images[rows])
    ]
    assert torch.equal(torch.cat(parts), 2 * images)
    return memory.seen


def test_on_a_cpu_the_batch_is_always_the_same(memory):
    assert in_batches(memory, CPU) == [4] * 25
    memory.most = 3
    with pytest.raises(torch.OutOfMemoryError):
        in_batches(memory, CPU)


def test_on_a_gpu_it_grows_to_what_there_is_room_for(memory):
    assert in_batches(memory) == [4, 32, 32, 32]
    memory.seen.clear()
    memory.free = 2 * 8 * 100
    assert in_batches(memory) == [4] + [8] * 12
    memory.seen.clear()
    memory.free -= 1
    assert in_batches(memory) == [4] * 25


def test_it_grows_only_while_a_batch_is_small(memory, monkeypatch):
    monkeypatch.setattr(features, "LARGE", 16 * 8)  # sixteen images of one int64
    assert in_batches(memory) == [4] + [16] * 6
    monkeypatch.setattr(features, "LARGE", 1)
    memory.seen.clear()
    assert in_batches(memory) == [4] * 25


@pytest.mark.parametrize(("most", "expected"), [(31, [4] + [16] * 6), (3, [2] * 50)])
def test_out_of_memory_halves_it_and_no_image_is_lost(memory, most, expected):
    memory.most = most
    assert in_batches(memory) == expected
    assert memory.released == 1


def test_libraries_run_out_of_memory_in_words_of_their_own_and_other_errors_are_raised(memory):
    memory.most, memory.error = 3, RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")
    assert in_batches(memory) == [2] * 50
    memory.error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        in_batches(memory)


def test_one_image_that_is_too_large_is_out_of_memory(memory):
    memory.most = 0
    with pytest.raises(torch.OutOfMemoryError):
        in_batches(memory)
    assert memory.released == 2


@pytest.mark.pretended
def test_images_that_lie_on_a_gpu_are_used_there(data, memory, monkeypatch):
    monkeypatch.setattr("sslbench.train.feed.fits_on_device", lambda images, device: True)
    monkeypatch.setattr("sslbench.train.feed.Ring", None)  # with which they would be copied
    encoder, resident = TinyBackbone(6).eval(), []

    class Seen(features.Feed):
        def batches(self, rows):
            resident.append(self.resident)
            return super().batches(rows)

    monkeypatch.setattr(features, "Feed", Seen)
    memory.peak = 1400
    with PretendedGpu() as gpu:
        gpu.take(encoder)
        training = Batches(data.train, 4, 0, DEVICE)
        view = EvaluationView(data.input_spec, DEVICE)
        found = features.extract(encoder, data.train, view, 4, DEVICE, "fp32")
        assert (found.shape, found.device, found.dtype) == ((64, 6), DEVICE, torch.float32)
    assert training.steps_per_epoch == 16
    assert resident == [True]


@pytest.mark.gpu
def test_on_a_real_gpu_features_are_those_of_the_cpu_and_the_batch_grows(data):
    torch.manual_seed(0)
    encoder = TinyBackbone(6).eval()
    here = extract_all(encoder, data, CPU, "fp32", batch=4)
    sizes = []
    encoder.register_forward_hook(lambda module, given, result: sizes.append(len(given[0])))
    there = extract_all(encoder.cuda(), data, torch.device("cuda"), "fp32", batch=4)
    assert torch.allclose(there.train.features.cpu(), here.train.features, atol=1e-3)
    assert sizes[0] == 4
    assert max(sizes) > 4
