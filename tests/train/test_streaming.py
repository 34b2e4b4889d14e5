"""Where images lie makes no difference to what is learnt from them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from sslbench import BuildContext
from sslbench.evaluate.features import extract_all
from sslbench.hooks.registry import Registry
from sslbench.testing.fakes import TinyBackbone
from sslbench.train.checkpoint import weights_digest
from sslbench.train.data import Batches, make_splits
from sslbench.train.randomness import seed_everything
from sslbench.train.task import LoopSettings, TrainingTask
from sslbench.train.trainer import Trainer

REGISTRY = Registry()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of 24 noisy photographs of several sizes, as JPEG."""
    root = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    for number in range(48):
        height, width = generator.integers(24, 60, 2)
        pixels = generator.integers(0, 120, (height, width, 3), dtype=np.uint8) + 100 * (number % 2)
        path = root / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return root


def trained(name, evaluate_on="test", **given):
    """Digest of the weights, and features, of two epochs of SimCLR."""
    spec = REGISTRY.get("dataset", name)
    data = make_splits(
        spec.build(spec.params(**given), BuildContext()), evaluate_on=evaluate_on, train_images=30, image_size=None
    )
    method, augmentation = REGISTRY.get("method", "simclr"), REGISTRY.get("augmentation", "simclr")
    seed_everything(0, "init")
    params = method.params()
    model = method.build(params, BuildContext(backbone=TinyBackbone(), image_size=data.image_size))
    settings = LoopSettings(epochs=2, batch_size=8, seed=0, device=torch.device("cpu"))
    view = augmentation.build(augmentation.params(), BuildContext())
    Trainer(TrainingTask(method=model, params=params, data=data, augmentation=view), settings).run()
    extraction = extract_all(model.encoder, data, settings.device, "fp32")
    return weights_digest(model), extraction.train.features, extraction.test.features, data.mean, data.std


@pytest.mark.parametrize("evaluate_on", ["test", "validation"])
def test_training_on_files_is_bit_for_bit_the_same(folder, evaluate_on, tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("sslbench_plugins.blocks.images_on_disk.encoded.LARGE", 0)
    resident, *others = (
        trained("imagefolder", evaluate_on, root=str(folder), size=16, reading=way)
        for way in ("resident", "mapped", "streaming")
    )
    for other in others:
        for expected, actual in zip(resident, other, strict=True):
            assert torch.equal(expected, actual) if isinstance(expected, torch.Tensor) else expected == actual
    assert sorted({item.suffix for item in tmp_path.iterdir()} - {".lock"}) == [".checked", ".images"]


def test_training_on_scenes_is_bit_for_bit_the_same():
    resident, streaming = (
        trained("shapes", train_images=40, test_images=10, image_size=16, reading=way)
        for way in ("resident", "streaming")
    )
    for expected, actual in zip(resident, streaming, strict=True):
        assert torch.equal(expected, actual) if isinstance(expected, torch.Tensor) else expected == actual


class Watched:
    """A reader that notes which thread reads how many images."""

    def __init__(self):
        self.reads = []

    def __len__(self):
        return 20

    def __getitem__(self, indices):
        self.reads.append((threading.current_thread().name, len(indices)))
        return torch.zeros(len(indices), 3, 2, 2, dtype=torch.uint8) + indices[:, None, None, None].byte()


def test_the_next_batch_is_read_by_another_thread_in_the_same_order():
    from sslbench.contracts.dataset import Split

    reader = Watched()
    device = torch.device("cpu")
    in_memory = Batches(Split(reader[torch.arange(20)]), 6, 0, device)
    streamed = Batches(Split(reader), 6, 0, device)
    for start in (0, 1):
        for expected, actual in zip(in_memory.epoch(3, start), streamed.epoch(3, start), strict=True):
            assert torch.equal(expected.images, actual.images)
    assert {name.partition("_")[0] for name, _ in reader.reads[1:]} == {"ahead"}
    assert [count for _, count in reader.reads[1:]] == [6] * 5


def test_an_epoch_that_is_left_leaves_no_thread():
    from sslbench.contracts.dataset import Split

    batches = Batches(Split(Watched()), 4, 0, torch.device("cpu")).epoch(0)
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
