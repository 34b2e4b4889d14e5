"""Data sets: images that stay the same, splits that share none, and what is known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.dataset import Dataset, Split, SplitName
from sslbench.errors import SslbenchError
from sslbench.hooks.registry import default_registry
from sslbench.plan.choose import choose
from sslbench.plan.reference import parse_reference
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.problem import Problems

SPLITS: tuple[SplitName, ...] = ("train", "test")
MOST = 1000
"""images of a split that are looked at"""
SHARED = 0.01
"""of the test images: what chance explains"""
OFF = 0.05
"""what mean and deviation may be off by, beyond what a sample explains"""
IMAGES = "int64 ``[B]`` -> uint8 ``[B, 3, H, W]``, all of one size"
APART = "**No image is in both splits**"


def of_split(name: str) -> Any:
    """A function that reads one split of a trial."""
    return {"train": train_of, "test": tested_of}[name]


def train_of(trial: Trial) -> Split:
    """The training split."""
    found: Split = trial.built.split("train")
    return found


def tested_of(trial: Trial) -> Split:
    """The test split."""
    found: Split = trial.built.split("test")
    return found


def splits(trial: Trial) -> list[tuple[SplitName, Split]]:
    """Both, by name."""
    return [(name, trial.once(of_split(name))) for name in SPLITS]


def some(count: int, most: int = MOST) -> Tensor:
    """int64: indices of all images, or of some of them, evenly spread, the last one included."""
    return torch.linspace(0, count - 1, min(count, most)).round().long()


@check("dataset", "Splits of images. Every data set has ``train`` and ``test``", level="bounds", gate=True)
def is_one(trial: Trial) -> Problems:
    """It has what a data set has, and images in both splits."""
    if not isinstance(trial.built, Dataset):
        yield "build must return an object with split, classes, image_size, mean and std"
        return
    for name, split in splits(trial):
        if not isinstance(split, Split):
            yield f"split({name!r}) returned a {type(split).__name__}, not a sslbench.Split"
        elif len(split) < (2 if name == "train" else 1):
            yield f"{name}: {len(split)} images; allowed: at least {2 if name == 'train' else 1}"


@check("dataset", IMAGES, "split", level="bounds", gate=True)
def images_are_images(trial: Trial) -> Problems:
    """The first ones and the last."""
    size = trial.built.image_size
    for name, split in splits(trial):
        readers = {"images": split.images} | ({} if split.unlabelled is None else {"unlabelled": split.unlabelled})
        if name == "test" and split.unlabelled is not None:
            yield "test: it has unlabelled images, which are of a training split"
        for what, reader in readers.items():
            for indices in (torch.arange(min(3, len(reader))), torch.tensor([len(reader) - 1])):
                images = reader[indices]
                if images.dtype != torch.uint8 or images.shape != (len(indices), 3, size, size):
                    needed = f"not uint8 [{len(indices)}, 3, {size}, {size}] of its image_size"
                    yield f"{name}: {what} are {images.dtype} {list(images.shape)}, {needed}"
                    break


@check("dataset", "int64 ``[N]``, 0..classes-1", "split", level="bounds")
def labels_are_labels(trial: Trial) -> Problems:
    """Dtype, length, range, and that they are there where the spec says so."""
    provided, classes = trial.spec.provided(trial.params), len(trial.built.classes)
    for name, split in splits(trial):
        labels = split.labels
        if labels is None:
            if "labels" in provided:
                yield f"{name}: labels must be int64 [{len(split)}]; there are none, and it provides labels"
        elif labels.dtype != torch.int64 or labels.shape != (len(split),):
            yield f"{name}: labels must be int64 [{len(split)}]; they are {labels.dtype} {list(labels.shape)}"
        elif not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            yield f"{name}: labels from {labels.min()} to {labels.max()} are not within 0..{classes - 1}"
        elif "labels" not in provided:
            yield f"{name}: it has labels, which its spec does not provide"


@check("dataset", "Names of the classes, in the order of the labels", "classes")
def classes_are_names(trial: Trial) -> Problems:
    """Texts, each once; and every class of the test split can be learnt."""
    classes = list(trial.built.classes)
    if isinstance(trial.built.classes, str) or not all(isinstance(name, str) for name in classes):
        yield f"classes are {trial.built.classes!r:.60}, not a sequence of texts"
    elif len(set(classes)) < len(classes):
        yield "two classes have one name"
    (_, train), (_, test) = splits(trial)
    if train.labels is not None and test.labels is not None:
        missing = sorted(set(test.labels.tolist()) - set(train.labels.tolist()))
        if missing:
            yield f"class {missing[0]} has test images and no training image"


@check("dataset", "Mean of each channel over the training split, of values in 0..1", "mean", level="presets")
def mean_and_deviation(trial: Trial) -> Problems:
    """Against those of the training images, or of a thousand of them."""
    train = splits(trial)[0][1]
    values = train.images[some(len(train))].double() / 255
    for name, given, true in (
        ("mean", trial.built.mean, values.mean(dim=(0, 2, 3))),
        ("std", trial.built.std, values.transpose(0, 1).flatten(1).std(dim=1)),
    ):
        tuple_of_three = isinstance(given, Sequence) and len(given) == 3
        if not tuple_of_three or not all(isinstance(value, (int, float)) for value in given):
            yield f"{name} is {given!r:.60}, not three numbers"
            continue
        chance = 0.0 if len(train) <= MOST else 4 * values.mean(dim=(2, 3)).std(dim=0).max().item() / MOST**0.5
        if (torch.tensor(given) - true).abs().max() > OFF + chance:
            rounded = [round(value, 3) for value in given]
            yield f"{name} is {rounded}, of the training images it is {[round(v, 3) for v in true.tolist()]}"


@check("dataset", APART, "split")
def splits_share_no_image(trial: Trial) -> Problems:
    """By path, by digest, and by the images themselves where most of them are different ones."""
    (_, train), (_, test) = splits(trial)
    if shared := set(map(str, train.paths)) & set(map(str, test.paths)):
        yield f"{len(shared)} paths are in train and in test: {sorted(shared)[0]}"
        return
    if train.digests and (both := set(train.digests) & set(test.digests)):
        yield f"{len(both)} digests are in train and in test"
        return
    trained, tested = digests(train), digests(test)
    equal = sum(digest in set(trained) for digest in tested)
    whole = len(trained) == len(tested) and trained == tested
    varied = len(set(trained)) > len(trained) / 2
    if whole or (varied and equal > SHARED * len(tested)):
        yield f"{equal} of {len(tested)} test images are training images"


def digests(split: Split) -> list[bytes]:
    """Of a split's images, or of some of them."""
    images = split.images[some(len(split), 4 * MOST)]
    return [hashlib.blake2b(image.numpy().tobytes(), digest_size=8).digest() for image in images]


@check("dataset", "what is known of each image beside its label, each ``[N]``", "split")
def factors_are_factors(trial: Trial) -> Problems:
    """Dtype, length, range, and that they are there where the spec says so."""
    provided = trial.spec.provided(trial.params)
    for name, split in splits(trial):
        if ("factors" in provided) != bool(split.factors):
            yield f"{name}: {len(split.factors)} factors, but it provides {sorted(provided)}"
        for factor, values in split.factors.items():
            if values.shape != (len(split),) or values.dtype not in (torch.int64, torch.float32):
                seen = f"{values.dtype} {list(values.shape)}"
                yield f"{name}: factor {factor!r} is {seen}, not int64 or float32 [{len(split)}]"
            elif values.dtype == torch.int64 and int(values.min()) < 0:
                yield f"{name}: factor {factor!r} is {values.min()} somewhere; a kind of thing is 0..K-1"


@check("dataset", "what is known of each pixel, in the order of the images", "split")
def maps_are_maps(trial: Trial) -> Problems:
    """Those that the spec promises, with their dtypes, sizes and ranges."""
    promised, size = trial.spec.provided(trial.params) - {"labels", "factors"}, trial.built.image_size
    for name, split in splits(trial):
        if promised != set(split.maps):
            yield f"{name}: maps {sorted(split.maps)}, but it provides {sorted(promised)}"
        for title, reader in split.maps.items():
            for indices in (torch.arange(min(3, len(split))), torch.tensor([len(reader) - 1])):
                maps = reader[indices]
                expected = {"mask": torch.uint8, "depth": torch.float32}.get(title, maps.dtype)
                if maps.shape[1:] != (size, size) or maps.dtype != expected or len(reader) != len(split):
                    seen = f"{maps.dtype} {list(maps.shape)}"
                    yield f"{name}: map {title!r} is {seen}, not {expected} [B, {size}, {size}]"
                elif title == "depth" and bool(((maps < 0) | (maps > 1)).any()):
                    yield f"{name}: depth from {maps.min():.3g} to {maps.max():.3g}, not within 0..1"
                else:
                    continue
                break


@check("dataset", "where each image comes from, or empty", "split")
def lists_have_an_entry_for_each(trial: Trial) -> Problems:
    """Paths, digests, and counts of what was left out."""
    for name, split in splits(trial):
        for what, items in (("paths", split.paths), ("digests", split.digests)):
            if len(items) not in (0, len(split)):
                yield f"{name}: {len(items)} {what} of {len(split)} images"
        if not isinstance(split.left_out, Mapping) or any(count < 0 for count in split.left_out.values()):
            yield f"{name}: left_out is {split.left_out!r:.60}, not reason -> count"
        if split.sides is not None and not 0 < split.sides[0] <= split.sides[1]:
            yield f"{name}: sides are {split.sides}, not the smallest and the largest"
    if trial.once(of_split("train")).held_out:
        yield "train: held_out is said of a test split"


@check("dataset", "parameters -> a short text that changes when the data does", "fingerprint", level="bounds")
def fingerprint_is_stable(trial: Trial) -> Problems:
    """The same for the same parameters."""
    text = trial.spec.fingerprint(trial.params)
    if not isinstance(text, str) or len(text) > 1000:
        yield f"the fingerprint is {text!r:.60}, not a short text"
    elif text != trial.spec.fingerprint(trial.params):
        yield "the fingerprint changes from call to call"


@check("dataset", "what ``auto`` means on this data set, by axis", "spec", level="defaults")
def recommendations_are_there(trial: Trial) -> Problems:
    """A plugin that somebody brings."""
    for kind, text in trial.spec.recommends.items():
        if kind != "augmentation":
            yield f"recommends {kind}; allowed: augmentation"
            continue
        yield from named_plugin(kind, text, "recommends")


def named_plugin(kind: str, text: str, where: str) -> Problems:
    """What is wrong with the plugin that a spec names."""
    try:
        mistakes = choose(kind, parse_reference(text), default_registry(), "")[1]
    except SslbenchError as error:
        mistakes = list(error.messages)
    yield from (f"{where}: {line}" for line in mistakes)
