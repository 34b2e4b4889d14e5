from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from sslbench.evaluate import features
from sslbench.evaluate.features import StaleFeatures, extract_all, load_extraction, save_extraction, spread
from sslbench.testing.fakes import TinyBackbone, TinyDataset
from sslbench.train.data import make_splits

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
