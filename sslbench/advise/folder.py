"""A folder of the user's own images: which data set it is, at what size it is read, and what looks wrong with it."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslbench.advise.defaults import RAW_PIXELS, UNTRAINED
from sslbench.advise.frozen import FrozenFeatures, Model, Settings
from sslbench.contracts.backbone import Backbone
from sslbench.contracts.defaults import LABELLED_IMAGES, UNLABELLED_IMAGES
from sslbench.contracts.weights import LoadedWeights
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.choose import chosen
from sslbench.plan.meant import exists, is_path, meant
from sslbench.plan.reference import Reference, parse_reference
from sslbench.report.text import first_names, plural
from sslbench.train.data import Splits

READ_SIZE = 64
"""pixels, for models that have no input size of their own"""
WHITES = {"integer": "white", "float": "white_float"}
"""kind of deep grey -> parameter of data sets of images"""
BASELINES = {RAW_PIXELS: 32, UNTRAINED: READ_SIZE}
"""method -> side at which its images are read, pixels; pixels as features grow with its square"""


def dataset_reference(text: str, size: Callable[[], int], registry: Registry | None = None) -> Reference:
    """``NAME:key=value,...``, or a folder: labelled images where it has folders in it, else unlabelled ones; or what
    reads the files in it that are no images.

    ``size`` is called for a folder alone: the side at which its images are read, pixels.
    """
    reference, registry = parse_reference(text), registry or default_registry()
    folder = Path(reference.name)
    if not is_path(reference.name, "dataset", registry) or not os.path.isdir(os.path.expanduser(folder)):
        return reference
    found = meant("dataset", reference, registry)
    if found.name != LABELLED_IMAGES:
        return Reference(found.name, {"size": size(), "on_error": "skip", **found.given}, found.where)
    given = {"size": size()} | dict(reference.given)
    return folder_reference(folder, **given, labelled=has_classes(folder, registry))


def folder_reference(folder: Path, size: int, *, labelled: bool, **params: Any) -> Reference:
    """The data set of the images in a folder, those that cannot be read left out."""
    values = {"root": str(folder), "size": size, "on_error": "skip", **params}
    return Reference(LABELLED_IMAGES if labelled else UNLABELLED_IMAGES, values)


def has_classes(folder: Path, registry: Registry) -> bool:
    """Whether the data set of labelled images finds labels in a folder. Raises UserError for what is no folder."""
    if not os.path.isdir(os.path.expanduser(folder)):
        raise UserError(f"{folder}: {'is a file, not a folder' if exists(str(folder)) else 'no such folder'}")
    choice = chosen("dataset", folder_reference(folder, READ_SIZE, labelled=True), registry)
    return "labels" in choice.spec.provided(choice.params)


def reading_size(model: Model, settings: Settings) -> int:
    """Side at which images are read so that none is enlarged on the way to the model: before its crop, pixels."""
    wanted = model.build(READ_SIZE, settings).input_spec
    return READ_SIZE if wanted is None else math.ceil(wanted.size / wanted.crop)


def loaded_weights(model: Model, settings: Settings) -> LoadedWeights | None:
    """Of a network that a method brings: weights that somebody else trained, None where there are none."""
    encoder = None if model.backbone is not None else model.build(READ_SIZE, settings).encoder
    return encoder.loaded_weights if isinstance(encoder, Backbone) else None


def scale_params(white: Mapping[str, float] | None) -> dict[str, float]:
    """Parameters of data sets of images for the value of deep grey that becomes 255, by kind."""
    return {WHITES[kind]: value for kind, value in (white or {}).items() if kind in WHITES}


def on_scale(reference: Reference, white: Mapping[str, float] | None, registry: Registry) -> Reference:
    """The data set with that scale of deep grey, where it has the parameters and none was given."""
    fields = registry.get("dataset", reference.name).params.model_fields if white else {}
    known = {name: value for name, value in scale_params(white).items() if name in fields}
    return Reference(reference.name, {**known, **reference.given}, reference.where)


def unknown_scale(met: Mapping[str, float], known: Mapping[str, float] | None, why: str) -> list[str]:
    """One line for each kind of deep grey that was met and whose scale in training is not known; ``why``."""
    words = {"integer": "of more than 8 bits", "float": "of floats"}
    return [
        f"grey {words.get(kind, kind)}: {why} it is scaled; here {white:g} is white, by these images alone"
        for kind, white in met.items()
        if kind not in (known or {})
    ]


@dataclass(frozen=True)
class LabelledFolder:
    """What lies in a folder of labelled images."""

    root: Path
    labels: Path | None
    """table of labels, or None for class folders"""
    classes: tuple[str, ...]
    train: int
    """images"""
    test: int
    """images to evaluate on"""
    fewest: int
    """training images of the class with the fewest"""
    held_out: bool
    """whether the images to evaluate on are a part of the only ones there are"""
    notes: tuple[str, ...]
    """what was left out, or looks wrong"""


def describe(root: Path, labels: Path | None, frozen: FrozenFeatures) -> LabelledFolder:
    """Count what is there. Raises UserError where there is one class, or nothing to evaluate on."""
    classes = frozen.classes
    if len(classes) == 1:
        raise UserError(
            f"{root}: has one class, {classes[0]!r}; at least two are needed to tell apart (--unlabelled looks at the"
            " images alone)"
        )
    if len(frozen.images.split("test")) == 0:
        raise UserError(
            f"{root}: no class has a second image; at least 2 are needed, one to train on and one to evaluate on"
        )
    data = frozen.data
    assert data.train.labels is not None
    assert data.test.labels is not None
    fewest = int(data.train.labels.bincount(minlength=len(classes)).min())
    test_counts = data.test.labels.bincount(minlength=len(classes)).tolist()
    notes = tuple(notes_on(data, classes, test_counts))
    held_out = data.test.held_out
    return LabelledFolder(root, labels, tuple(classes), len(data.train), len(data.test), fewest, held_out, notes)


def notes_on(data: Splits, classes: Sequence[str], test_counts: Sequence[int]) -> list[str]:
    """One line for each thing that a user should know; ``test_counts``: test images of each class."""
    notes = notes_on_left_out(data)
    without_test = [name for name, count in zip(classes, test_counts, strict=True) if count == 0]
    if without_test:
        notes.append(f"no image to evaluate on of {first_names(without_test)}")
    known = set(data.train.digests)
    same = sum(digest in known for digest in data.test.digests)
    if same:
        what = "are training images as well, byte for byte: accuracies are too high by up to as many images"
        notes.append(f"{plural(same, 'image')} to evaluate on {what}")
    return notes


def notes_on_left_out(data: Splits) -> list[str]:
    """One line for each reason why files are no part of the splits, the one with the most first."""
    counts = Counter(data.left_out)
    return [f"{plural(count, 'file')} left out: {reason}" for reason, count in counts.most_common()]
