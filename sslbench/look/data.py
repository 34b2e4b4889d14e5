"""The data set that is looked at: which one a text means, and its two splits, however few images they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.dataset import Split
from sslbench.contracts.defaults import LABELLED_IMAGES, UNLABELLED_IMAGES
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Choice
from sslbench.plan.choose import chosen
from sslbench.plan.meant import meant
from sslbench.plan.reference import Reference, parse_reference
from sslbench.train.data import Splits


def dataset_of(text: str, registry: Registry) -> tuple[Choice[Any], list[str]]:
    """The data set behind ``NAME:key=value`` or a path, and what the user should know of that. Images that cannot be
    read are left out unless the text says otherwise; a folder without folders for classes is one of images without
    labels. Raises UserError."""
    written = parse_reference(text, "DATA")
    reference = meant("dataset", written, registry)
    choice = chosen("dataset", reference, registry)
    given = dict(reference.given)
    if "on_error" in choice.spec.params.model_fields:
        given = {"on_error": "skip", **given}
    name, notes = reference.name, []
    is_path = written.name != name
    if is_path and name == LABELLED_IMAGES and "labels" not in choice.spec.provided(choice.params):
        name = UNLABELLED_IMAGES
        notes.append(f"images without labels: no folder for a class (run -d {name}:root={written.name} takes them)")
    return chosen("dataset", Reference(name, given, reference.where), registry), notes


def splits_of(choice: Choice[Any], download: bool) -> Splits:
    """Both splits as methods and evaluators get them. Raises UserError where they cannot be read or hold no image."""
    dataset = choice.build(BuildContext(download=download))
    train, test = dataset.split("train"), dataset.split("test")
    unlabelled = None if train.unlabelled is None else Split(train.unlabelled)
    if len(train) == 0:
        raise UserError(*unread(choice.name, [*train.unreadable, *test.unreadable]))
    return Splits(
        train,
        test,
        len(dataset.classes),
        dataset.image_size,
        dataset.mean,
        dataset.std,
        unlabelled=unlabelled,
        class_names=tuple(dataset.classes),
        read_size=dataset.image_size,
        evaluated_on="all" if test.held_out else "test",
    )


def unread(name: str, unreadable: Sequence[str]) -> list[str]:
    """Why there is no image to look at."""
    return [f"{name}: no image to train on can be read", *unreadable[:5]]


@dataclass(frozen=True)
class ClassCount:
    """Images of one class."""

    name: str
    train: int
    test: int


def labels_of(split: Split) -> Tensor:
    """Those that are known, int64."""
    return torch.zeros(0, dtype=torch.int64) if split.labels is None else split.labels[split.labels >= 0].cpu()


def class_counts(data: Splits) -> list[ClassCount]:
    """Of every class, in the order of the labels; empty without labels."""
    if data.train.labels is None:
        return []
    counts = [labels_of(split).bincount(minlength=data.classes).tolist() for split in (data.train, data.test)]
    return [ClassCount(name, train, test) for name, train, test in zip(data.class_names, *counts, strict=True)]
