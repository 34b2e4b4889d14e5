"""The images that a method is trained and evaluated on: capped, held out, and handed over in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from sslbench.contracts.dataset import Dataset, DeviceReader, ImageReader, MapReader, Split
from sslbench.contracts.method import InputSpec
from sslbench.errors import UserError
from sslbench.store.record import DataFacts, TrainingInput
from sslbench.train.equal_images import contradictory, equal_images, repeated
from sslbench.train.feed import Feed, order_on
from sslbench.train.randomness import Stream
from sslbench.train.ranks import own_share

SUBSET_SEED = 0
"""Subsets are the same for every seed of a run, so that seeds differ in training only."""
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Splits:
    """The images that one pretraining trains on and is evaluated on."""

    train: Split
    test: Split
    classes: int
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    notes: tuple[str, ...] = ()
    """what was left out, in words for the user"""
    unlabelled: Split | None = None
    class_names: tuple[str, ...] = ()
    """in the order of the labels"""
    read_size: int | None = None
    """side of the images as they are read, pixels"""
    evaluated_on: Literal["test", "train", "all"] = "test"
    """whose images ``test`` are: the test split's, or held out of the training split, or of all that there are"""

    @property
    def input_spec(self) -> InputSpec:
        """The input of encoders that have no ``input_spec`` of their own."""
        return InputSpec(self.image_size, self.mean, self.std)

    @property
    def training_input(self) -> TrainingInput:
        """The record's description of the images that the encoder was trained on."""
        return TrainingInput(self.image_size, self.classes, self.mean, self.std, self.white)

    @property
    def white(self) -> dict[str, float]:
        """Value of deep grey that became 255, by kind, of those that there are."""
        return {**self.test.white, **self.train.white}

    @property
    def pretraining(self) -> Split:
        """The split that methods are trained on: images without labels where the data set has them."""
        return self.train if self.unlabelled is None else self.unlabelled

    @property
    def left_out(self) -> dict[str, int]:
        """Reason -> files or rows that are no part of the splits. A held-out part repeats those of its whole."""
        both = (self.train,) if self.evaluated_on == "train" else (self.train, self.test)
        counts: Counter[str] = Counter()
        for split in both:
            counts.update(split.left_out)
        return {reason: count for reason, count in counts.items() if count}

    def facts(self, fingerprint: str | None = None) -> DataFacts:
        """The record's description of the images, every one of which is compared; ``fingerprint``: of the data set."""
        test, trained_on = self.test, [self.train, *([] if self.unlabelled is None else [self.unlabelled])]
        duplicates, why_not_compared = equal_images(trained_on, test)
        sides = [side for split in (self.train, test) for side in split.sides or ()]
        counts = [] if test.labels is None else test.labels.clamp(min=-1).add(1).bincount().tolist()[1:]
        most = max(counts, default=0)
        named = dict(enumerate(self.class_names)).get(counts.index(most)) if most else None
        return DataFacts(
            train_images=len(self.pretraining),
            test_images=len(test),
            evaluated_on=self.evaluated_on,
            classes=self.classes or None,
            classes_evaluated=sum(count > 0 for count in counts) or None,
            majority_class=named,
            majority_share=most / len(test) if most else None,
            image_size=self.read_size,
            sides=(min(sides), max(sides)) if sides else None,
            left_out=self.left_out,
            duplicates=duplicates,
            why_not_compared=why_not_compared,
            repeated=repeated(self.pretraining),
            contradictory=contradictory([self.train, test]),
            fingerprint=fingerprint,
        )


class Subset:
    """Some images, or maps, of a reader that makes them on demand."""

    def __init__(self, reader: ImageReader | MapReader, indices: Tensor) -> None:
        self._reader, self._indices = reader, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, indices: Tensor) -> Tensor:
        return self._reader[self._indices[indices]]


class DeviceSubset(Subset):
    """The same of a reader that can make them on a GPU."""

    _reader: DeviceReader

    def read_on(self, indices: Tensor, device: torch.device) -> Tensor:
        """int64 ``[B]`` -> uint8 ``[B, 3, H, W]`` on the device."""
        return self._reader.read_on(self._indices[indices], device)


def pick(split: Split, indices: Tensor) -> Split:
    """The images of a split at ``indices``, in that order."""

    def part(reader: Any) -> Any:
        if isinstance(reader, Tensor):
            return reader[indices]
        return (DeviceSubset if isinstance(reader, DeviceReader) else Subset)(reader, indices)

    return replace(
        split,
        images=part(split.images),
        labels=None if split.labels is None else split.labels[indices],
        factors={name: values[indices] for name, values in split.factors.items()},
        maps={name: part(values) for name, values in split.maps.items()},
        paths=[split.paths[i] for i in indices.tolist()] if split.paths else (),
        digests=[split.digests[i] for i in indices.tolist()] if split.digests else (),
    )


def make_splits(
    dataset: Dataset, *, evaluate_on: Literal["test", "validation"], train_images: int | None, image_size: int | None
) -> Splits:
    """The splits that a suite's settings ask for. Raises UserError where one holds too few images.

    ``evaluate_on="validation"``: a fifth of the training split is the test split, which is then not even read.
    ``train_images``: size of a fixed random subset to train on. ``image_size`` None: the data set's own.
    """
    train = dataset.split("train")
    notes = [*train.notes]
    unlabelled = None if train.unlabelled is None else Split(train.unlabelled)
    if evaluate_on == "validation":
        kept, held = held_out(train)
        test, train = pick(train, held), pick(train, kept)
    else:
        test = dataset.split("test")
        notes.extend(test.notes)
    if unlabelled is None:
        train = capped(train, train_images, notes)
    else:
        notes.append(f"training on images without labels, evaluating on {len(train):,} others that have them")
        unlabelled = capped(unlabelled, train_images, notes)
    fewest = min(len(train), len(train if unlabelled is None else unlabelled))
    if fewest < 2:
        raise UserError(f"the training split holds {fewest} images; at least 2 are needed")
    if len(test) == 0:
        raise UserError("the split to evaluate on holds no image; at least 1 is needed")
    size = image_size or dataset.image_size
    own: Literal["test", "all"] = "all" if test.held_out else "test"
    return Splits(
        train,
        test,
        len(dataset.classes),
        size,
        dataset.mean,
        dataset.std,
        tuple(notes),
        unlabelled,
        tuple(dataset.classes),
        dataset.image_size,
        "train" if evaluate_on == "validation" else own,
    )


def capped(split: Split, count: int | None, notes: list[str]) -> Split:
    """A fixed random subset, and a note of it, where a split has more than ``count`` images."""
    if count is None or count >= len(split):
        return split
    notes.append(f"training on a fixed random {count:,} of {len(split):,} images (train_images)")
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(SUBSET_SEED))
    return pick(split, order[:count].sort().values)


def held_out(split: Split) -> tuple[Tensor, Tensor]:
    """Indices to keep and to hold out: a fifth of each class, fixed; a fifth of all without labels."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(SUBSET_SEED))
    if split.labels is None:
        held = order[: round(len(split) * VALIDATION_SHARE)]
    else:
        shuffled = split.labels[order]
        parts = [order[shuffled == label] for label in torch.unique(split.labels)]
        held = torch.cat([part[: round(len(part) * VALIDATION_SHARE)] for part in parts])
    keep = torch.ones(len(split), dtype=torch.bool)
    keep[held] = False
    return keep.nonzero().flatten(), held.sort().values


class Batch(NamedTuple):
    """Training images, uint8 ``[B, 3, H, W]``, and for a method that trains on them labels, int64 ``[B]``."""

    images: Tensor
    labels: Tensor | None


class Batches:
    """Batches of training images on the model's device, in an order that depends on seed and epoch alone; the last,
    smaller batch of an epoch is dropped: batch norm and contrastive losses depend on the batch size. A rank gets its
    share of each."""

    def __init__(
        self, split: Split, batch_size: int, seed: int, device: torch.device, labels: bool = False, parts: int = 1
    ) -> None:
        """``batch_size``: images of a step, on all ranks; ``parts``: that each batch will be cut into."""
        if labels and split.labels is None:
            raise UserError("the method trains on labels, and the training split has none")
        self._labels = split.labels.to(device) if labels and split.labels is not None else None
        self.batch_size = min(batch_size, len(split))
        self.steps_per_epoch = len(split) // self.batch_size
        self._order, self._count, self._parts = Stream(seed, "order"), len(split), parts
        self._device, self._feed = device, Feed(split.images, device, keep=True)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from step ``start`` of it."""
        order = torch.randperm(self._count, generator=self._order.at(epoch))
        there = self._shares(order_on(self._device, order), start)
        images = self._feed.batches(there if self._feed.resident else self._shares(order, start))
        for indices, part in zip(there, images, strict=True):
            yield Batch(part, None if self._labels is None else self._labels.index_select(0, indices))

    def _shares(self, order: Tensor, start: int) -> list[Tensor]:
        batches = torch.split(order, self.batch_size)[start : self.steps_per_epoch]
        return [own_share(indices, self._parts) for indices in batches]
