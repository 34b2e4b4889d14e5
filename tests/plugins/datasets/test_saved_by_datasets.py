"""Folders that Hugging Face's `datasets` itself writes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sslbench import BuildContext
from sslbench.hooks.registry import Registry

pytestmark = pytest.mark.slow
SPEC = Registry().get("dataset", "hf-disk")


@pytest.fixture
def datasets(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("datasets", reason="needs Hugging Face's datasets: pip install datasets")


def made(datasets, count):
    kinds = {"label": datasets.ClassLabel(names=["cat", "dog", "owl"]), "photo": datasets.Image()}
    pixels = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    rows = {"label": [number % 3 for number in range(count)], "photo": list(pixels)}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))


def pixels_of(rows):
    return torch.from_numpy(np.stack([np.asarray(row["photo"]) for row in rows])).permute(0, 3, 1, 2)


def test_every_row_is_the_one_that_datasets_reads(datasets, tmp_path):
    saved = datasets.DatasetDict(train=made(datasets, 40), test=made(datasets, 12))
    saved = saved.filter(lambda row: row["label"] < 2).shuffle(seed=0)
    saved.save_to_disk(tmp_path / "saved", num_shards={"train": 3, "test": 1})
    own = SPEC.build(SPEC.params(path=str(tmp_path / "saved")), BuildContext())
    for name, rows in datasets.load_from_disk(tmp_path / "saved").items():
        assert torch.equal(own.split(name).images, pixels_of(rows))
        assert own.split(name).labels.tolist() == rows["label"]
    assert own.classes == rows.features["label"].names


def test_the_cache_of_load_dataset_is_read_in_place(datasets, tmp_path):
    for name, count in (("train", 9), ("test", 6)):
        made(datasets, count).to_parquet(tmp_path / f"{name}.parquet")
    files = {name: str(tmp_path / f"{name}.parquet") for name in ("train", "test")}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    folder = next((tmp_path / "cache").rglob("*-train.arrow")).parent
    own = SPEC.build(SPEC.params(path=str(folder)), BuildContext())
    for name, rows in loaded.items():
        assert torch.equal(own.split(name).images, pixels_of(rows))
        assert own.split(name).labels.tolist() == rows["label"]
