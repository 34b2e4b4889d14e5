"""Data sets with one mistake each; a good one has none."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from sslbench import DatasetSpec
from sslbench.testing.fakes import TinyDataset
from tests.testing.plants import faults

GOOD = TinyDataset()


def split_with(name_of_split="", **changes):
    """A data set whose splits, or one of them, have other fields."""

    def make():
        class Changed(TinyDataset):
            def split(self, name):
                whole = super().split(name)
                given = {key: value(whole) if callable(value) else value for key, value in changes.items()}
                return replace(whole, **given) if name_of_split in ("", name) else whole

        return Changed(mean=GOOD.mean, std=GOOD.std)

    return make


class Reader:
    """Images that are decoded on demand."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, indices):
        return self.images[indices]


class Augmenting(Reader):
    def __getitem__(self, indices):
        return self.images[indices].flip(3) if random.random() < 0.5 else self.images[indices]


class Jittering(Reader):
    def __getitem__(self, indices):
        images = self.images[indices] // 2
        return images + torch.from_numpy(np.random.default_rng().integers(0, 99, images.shape, dtype=np.uint8))


class Fading(Reader):
    """A file that is read on, whatever index is asked for."""

    reads = 0

    def __getitem__(self, indices):
        self.reads += 1
        return self.images[(indices + self.reads) % len(self.images)]


class Lending(Reader):
    """Hands out its own memory."""

    def __getitem__(self, indices):
        return self.images if torch.equal(indices, torch.arange(len(self.images))) else self.images[indices]


class OneBuffer(Reader):
    """Reads every batch into the same memory."""

    def __getitem__(self, indices):
        self.buffer = getattr(self, "buffer", torch.empty_like(self.images))
        self.buffer[: len(indices)] = self.images[indices]
        return self.buffer[: len(indices)]


class OneThread(Reader):
    def __init__(self, images):
        super().__init__(images)
        self.owner = threading.get_ident()

    def __getitem__(self, indices):
        if threading.get_ident() != self.owner:
            raise RuntimeError("made in another thread")
        return self.images[indices]


class OneShort(Reader):
    def __getitem__(self, indices):
        return self.images[:-1][indices]


class Floats(Reader):
    def __getitem__(self, indices):
        return self.images[indices] / 255


def reading(reader):
    return split_with(images=lambda split: reader(split.images))


def test_equal_to_train():
    train = GOOD.split("train")
    return split_with("test", images=train.images[:32], labels=train.labels[:32])()


def one_in_both():
    train = GOOD.split("train")
    return split_with("test", images=lambda split: torch.cat([train.images[5:6], split.images[1:]]))()


def drawn():
    class Drawn(TinyDataset):
        def split(self, name):
            whole = super().split(name)
            noise = torch.randint(0, 50, whole.images.shape).to(torch.uint8)
            return replace(whole, images=whole.images // 2 + noise)

    return Drawn()


test_equal_to_train.__test__ = False
DATASETS = [
    (reading(Augmenting), "it drew from Python's global generator"),
    (reading(Jittering), "images are not the same when they are read again"),
    (reading(Fading), "images are not the same"),
    (reading(Lending), "after the images that were read before were overwritten"),
    (reading(OneBuffer), "images are not the same once others are read"),
    (reading(OneThread), "raised RuntimeError: made in another thread"),
    (reading(OneShort), "raised IndexError"),
    (reading(Floats), "images are torch.float32 [3, 3, 8, 8], not uint8 [3, 3, 8, 8]"),
    (drawn, "it drew from torch's global generator"),
    (test_equal_to_train, "32 of 32 test images are training images"),
    (one_in_both, "1 of 32 test images are training images"),
    (
        split_with(paths=lambda split: [f"{n}.png" for n in range(len(split))]),
        "32 paths are in train and in test: 0.png",
    ),
    (split_with(paths=["a.png"]), "1 paths"),
    (split_with(labels=lambda split: split.labels + 1), "labels from 1 to 2 are not within 0..1"),
    (split_with(labels=lambda split: split.labels.float()), "labels must be int64 [64]; they are torch.float32 [64]"),
    (split_with(labels=lambda split: split.labels[:-1]), "labels must be int64 [64]; they are torch.int64 [63]"),
    (split_with(labels=None), "there are none, and it provides labels"),
    (split_with("train", labels=torch.zeros(64, dtype=torch.int64)), "class 1 has test images and no training image"),
    (split_with(maps={}), "maps [], but it provides ['depth', 'mask']"),
    (split_with(maps=lambda s: {**s.maps, "mask": s.maps["mask"].long()}), "map 'mask' is torch.int64"),
    (split_with(maps=lambda s: {**s.maps, "depth": s.maps["depth"] * 2}), "depth from 0 to 2, not within 0..1"),
    (split_with(maps=lambda s: {**s.maps, "mask": s.maps["mask"][:-1]}), "map 'mask' is torch.uint8"),
    (split_with(factors={}), "0 factors, but it provides"),
    (split_with(factors=lambda s: {"half": s.labels - 1}), "factor 'half' is -1 somewhere"),
    (split_with(factors=lambda s: {"half": s.labels[:-1]}), "factor 'half' is torch.int64 [63]"),
    (split_with(images=lambda s: s.images[:0]), "0 images; allowed: at least 2"),
    (split_with(unlabelled=lambda s: s.images[..., :4]), "unlabelled are torch.uint8 [3, 3, 8, 4]"),
    (split_with(held_out=True), "train: held_out is said of a test split"),
    (lambda: replace(GOOD, mean=(0.485, 0.456, 0.406)), "mean is [0.485, 0.456, 0.406], of the training images it is"),
    (lambda: replace(GOOD, std=(61.2, 61.2, 61.2)), "std is [61.2, 61.2, 61.2], of the training images it is"),
    (lambda: replace(GOOD, image_size=16, classes=("a", "a")), "two classes have one name"),
    (object, "build must return an object with split, classes, image_size, mean and std"),
]


def dataset(make, **more):
    stated = {"provides": frozenset({"labels", "factors", "mask", "depth"}), "fingerprint": lambda params: "1", **more}
    return DatasetSpec(name="d", summary="A d.", build=lambda params, context: make(), **stated)


def test_a_good_data_set_has_no_fault():
    assert faults(dataset(lambda: GOOD)) == []


@pytest.mark.parametrize(("make", "words"), DATASETS, ids=[words for _, words in DATASETS])
def test_a_planted_data_set_is_named(make, words):
    found = faults(dataset(make))
    assert any(words in fault.text for fault in found), [fault.text for fault in found]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"fingerprint": lambda params: str(random.SystemRandom().random())},
            "the fingerprint changes from call to call",
        ),
        ({"fingerprint": lambda params: 3}, "the fingerprint is 3, not a short text"),
        ({"recommends": {"augmentation": "afine"}}, "recommends: unknown augmentation 'afine'; did you mean 'affine'?"),
        ({"recommends": {"augmentations": "affine"}}, "recommends augmentations; allowed: augmentation"),
    ],
)
def test_what_the_spec_of_a_data_set_states_is_checked(more, words):
    found = faults(dataset(lambda: GOOD, **more))
    assert any(words in fault.text for fault in found), [fault.text for fault in found]
