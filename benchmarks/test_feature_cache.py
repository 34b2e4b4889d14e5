"""Keeping features and reading them back: what every evaluation but the first waits for."""

from __future__ import annotations

import pytest
import torch

from sslbench import FeatureSet
from sslbench.evaluate.features import Extraction, load_extraction, save_extraction

TRAIN, TEST, WIDTH = 50_000, 10_000, 512


@pytest.fixture(scope="module")
def extraction():
    """Features of CIFAR-10 as a ResNet-18 gives them: 123 MB."""
    generator = torch.Generator().manual_seed(0)

    def part(count):
        return FeatureSet(torch.randn(count, WIDTH, generator=generator), torch.arange(count) % 10)

    return Extraction(part(TRAIN), part(TEST), spread=1.0, seconds=1.0, images_per_second=1.0)


@pytest.mark.benchmark(group="feature cache, save 60,000 x 512")
def test_save(benchmark, extraction, tmp_path):
    benchmark.extra_info["against"] = "torch.save"
    benchmark.pedantic(save_extraction, args=(tmp_path / "features", extraction), rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group="feature cache, save 60,000 x 512")
def test_save_by_torch(benchmark, extraction, tmp_path):
    """Neither atomic nor safe to read."""
    benchmark.extra_info["peer"] = "torch.save"
    benchmark.pedantic(torch.save, args=(plain(extraction), tmp_path / "features"), rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group="feature cache, load 60,000 x 512")
def test_load(benchmark, extraction, tmp_path, device):
    save_extraction(tmp_path / "features", extraction)

    def load():
        """The sum reads every number: a file that is mapped is not read before."""
        return load_extraction(tmp_path / "features", device).train.features.sum()

    benchmark.extra_info["against"] = "torch.load"
    total = benchmark.pedantic(load, rounds=5, warmup_rounds=1)
    assert torch.allclose(total.cpu(), extraction.train.features.sum())


@pytest.mark.benchmark(group="feature cache, load 60,000 x 512")
def test_load_by_torch(benchmark, extraction, tmp_path, device):
    torch.save(plain(extraction), tmp_path / "features")

    def load():
        return torch.load(tmp_path / "features", map_location=device)["train"][0].sum()

    benchmark.extra_info["peer"] = "torch.load"
    benchmark.pedantic(load, rounds=5, warmup_rounds=1)


def plain(extraction):
    return {
        "train": (extraction.train.features, extraction.train.labels),
        "test": (extraction.test.features, extraction.test.labels),
    }
