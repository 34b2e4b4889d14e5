"""The data sets that torchvision opens, on small files in the published formats.

torchvision checks published files by their MD5; the checksums of the files made here take the place of those, in the
class attributes that torchvision reads them from.
"""

from __future__ import annotations

import hashlib
import pickle
import struct

import numpy as np
import pytest
import torch
import torchvision.datasets as published

from sslbench import BuildContext, UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems
from sslbench.train.data import make_splits

REGISTRY = Registry()
NAMES = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "stl10": "STL10", "fashion-mnist": "FashionMNIST"}
SPLITS = {"train": 20, "test": 10}
UNLABELLED = 40


def pixels(split, shape):
    return np.random.default_rng(len(split)).integers(0, 256, (SPLITS.get(split, UNLABELLED), *shape), dtype=np.uint8)


def labels(split):
    return [index % 10 for index in range(SPLITS[split])]


def keep(folder, name, content):
    """Write a file and answer its name and checksum, as torchvision lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return [name, hashlib.md5(content).hexdigest()]


def cifar(root, kind, folder, key, patch):
    """One pickled dictionary a file: rows of 3 x 32 x 32 bytes, labels, and a file with the names of the classes."""
    names = ["data_batch_1", "test_batch"] if kind is published.CIFAR10 else ["train", "test"]
    for attribute, split, name in (("train_list", "train", names[0]), ("test_list", "test", names[1])):
        batch = {"data": pixels(split, (3, 32, 32)).reshape(SPLITS[split], -1), key: labels(split)}
        patch.setattr(kind, attribute, [keep(root / folder, name, pickle.dumps(batch))])
    classes = [f"class{number}" for number in range(10)]
    meta = dict(kind.meta)
    name, digest = keep(root / folder, meta["filename"], pickle.dumps({meta["key"]: classes}))
    patch.setattr(kind, "meta", {**meta, "filename": name, "md5": digest})


def cifar10(root, patch):
    cifar(root, published.CIFAR10, "cifar-10-batches-py", "labels", patch)


def cifar100(root, patch):
    cifar(root, published.CIFAR100, "cifar-100-python", "fine_labels", patch)


def stl10(root, patch):
    """Images column by column, labels from 1."""
    folder, listed = root / "stl10_binary", {"train": [], "test": []}
    for split in listed:
        columns = pixels(split, (3, 96, 96)).transpose(0, 1, 3, 2)
        listed[split].append(keep(folder, f"{split}_X.bin", columns.tobytes()))
        listed[split].append(keep(folder, f"{split}_y.bin", bytes(label + 1 for label in labels(split))))
    columns = pixels("unlabelled", (3, 96, 96)).transpose(0, 1, 3, 2)
    listed["train"].append(keep(folder, "unlabeled_X.bin", columns.tobytes()))
    patch.setattr(published.STL10, "train_list", listed["train"])
    patch.setattr(published.STL10, "test_list", listed["test"])


def fashion_mnist(root, patch):
    """IDX: a magic number that says bytes and how many dimensions, the dimensions, the bytes."""
    for split, name in (("train", "train"), ("test", "t10k")):
        count, folder = SPLITS[split], root / "FashionMNIST" / "raw"
        head = struct.pack(">IIII", 0x803, count, 28, 28)
        keep(folder, f"{name}-images-idx3-ubyte", head + pixels(split, (28, 28)).tobytes())
        keep(folder, f"{name}-labels-idx1-ubyte", struct.pack(">II", 0x801, count) + bytes(labels(split)))


MAKE = {"cifar10": cifar10, "cifar100": cifar100, "stl10": stl10, "fashion-mnist": fashion_mnist}
SIDE = {"cifar10": 32, "cifar100": 32, "stl10": 96, "fashion-mnist": 28}


def build(name, root, download=False):
    spec = REGISTRY.get("dataset", name)
    return spec.build(spec.params(root=str(root)), BuildContext(download=download))


@pytest.mark.parametrize("name", NAMES)
def test_images_and_labels_are_those_of_the_files(name, tmp_path, monkeypatch):
    MAKE[name](tmp_path, monkeypatch)
    data = build(name, tmp_path)
    assert len(data.classes) == 10
    assert data.image_size == SIDE[name]
    for split in SPLITS:
        part = data.split(split)
        channels = () if name == "fashion-mnist" else (3,)
        expected = torch.from_numpy(pixels(split, (*channels, SIDE[name], SIDE[name])))
        assert torch.equal(part.images, expected if channels else expected[:, None].expand(-1, 3, -1, -1))
        assert part.labels.tolist() == labels(split)
    assert problems(REGISTRY.get("dataset", name), root=str(tmp_path)) == []


@pytest.mark.parametrize("name", NAMES)
def test_without_the_files_it_says_what_is_missing_where_and_how_to_get_it(name, tmp_path):
    words = rf"^{name}: folder \S+ not found in {tmp_path}; --download fetches it \([\d.]+ [MG]B\), or give the folder"
    with pytest.raises(UserError, match=rf"{words} that has it: {name}:root=FOLDER$"):
        build(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "file"), [("cifar100", "cifar-100-python/train"), ("stl10", "stl10_binary/test_X.bin")]
)
def test_a_truncated_file_is_not_taken_for_the_data(name, file, tmp_path, monkeypatch):
    MAKE[name](tmp_path, monkeypatch)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:-1])
    words = (
        rf"^{name}: {(tmp_path / file).parent} is incomplete or damaged \(.*\); delete it and fetch it with --download$"
    )
    with pytest.raises(UserError, match=words):
        build(name, tmp_path)


def test_a_truncated_idx_file_is_not_taken_for_the_data(tmp_path, monkeypatch):
    MAKE["fashion-mnist"](tmp_path, monkeypatch)
    path = tmp_path / "FashionMNIST/raw/train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"fashion-mnist: .*raw is incomplete or damaged"):
        build("fashion-mnist", tmp_path)


def test_the_folder_can_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_DATA", str(tmp_path / "data"))
    spec = REGISTRY.get("dataset", "cifar10")
    with pytest.raises(UserError, match=str(tmp_path / "data")):
        spec.build(spec.params(), BuildContext())


def test_methods_are_trained_on_the_images_without_labels_where_one_says_so(tmp_path, monkeypatch):
    stl10(tmp_path, monkeypatch)
    spec = REGISTRY.get("dataset", "stl10")
    data = spec.build(spec.params(root=str(tmp_path), unlabelled=True), BuildContext())
    splits = make_splits(data, evaluate_on="test", train_images=None, image_size=None)
    assert (len(splits.train), len(splits.test), len(splits.pretraining)) == (20, 10, UNLABELLED)
    expected = torch.from_numpy(pixels("unlabelled", (3, 96, 96)))
    assert torch.equal(splits.pretraining.images[torch.arange(UNLABELLED)], expected)
    assert (
        make_splits(build("stl10", tmp_path), evaluate_on="test", train_images=None, image_size=None).unlabelled is None
    )
    assert problems(spec, root=str(tmp_path), unlabelled=True) == []


class Opener:
    """A published data set that is there, or cannot be fetched."""

    def __init__(self, error=None):
        self.downloads = []
        self.error = error

    def __call__(self, root, train, download):
        self.downloads.append(download)
        if self.error:
            raise self.error
        self.data = np.zeros((4, 32, 32, 3), dtype=np.uint8)
        self.targets, self.classes = [0, 1, 0, 1], ["a", "b"]
        return self


@pytest.mark.parametrize("download", [False, True])
def test_files_are_fetched_only_when_that_was_allowed(monkeypatch, download):
    opener = Opener()
    monkeypatch.setattr(published, "CIFAR10", opener)
    build("cifar10", "", download).split("test")
    assert opener.downloads == [download, download]


def test_a_failed_download_is_an_error_of_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(published, "CIFAR10", Opener(OSError("no route to host")))
    with pytest.raises(UserError, match=rf"^cifar10: cannot be read in or fetched to {tmp_path}: no route to host$"):
        build("cifar10", tmp_path, True)


def test_the_fingerprints_are_the_published_checksums():
    checksums = {
        "cifar10": published.CIFAR10.tgz_md5,
        "cifar100": published.CIFAR100.tgz_md5,
        "stl10": published.STL10.tgz_md5,
        "fashion-mnist": published.FashionMNIST.resources[0][1],
    }
    for name, expected in checksums.items():
        spec = REGISTRY.get("dataset", name)
        assert spec.fingerprint(spec.params()) == expected
