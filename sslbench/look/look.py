"""Looking at a data set before any training: its facts, and pictures of its images, their views and their masks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sslbench.contracts.evaluator import Picture
from sslbench.contracts.executor import Emit
from sslbench.contracts.params import MaskingParams
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError
from sslbench.execute.events import StageStarted
from sslbench.hooks.registry import Registry
from sslbench.look.data import ClassCount, class_counts, dataset_of, splits_of
from sslbench.look.equal import EqualImages, equal_images
from sslbench.look.files import FileFacts, file_facts, root_of
from sslbench.look.pictures import classes_picture, images_picture, odd_picture
from sslbench.look.wanted import LookRequest, Wanted, patch_grid, read_wanted, view_requests
from sslbench.plan.cell import Choice
from sslbench.store.record import DataFacts
from sslbench.train.data import Splits
from sslbench.train.mask_pictures import ShownMasking, masks_picture
from sslbench.train.shown_images import shown_images
from sslbench.train.view_pictures import as_pixels, views_picture
from sslbench.train.views import centre_view


@dataclass(frozen=True)
class Look:
    """What was found, and what there is to see."""

    data: str
    """as the user wrote it"""
    facts: DataFacts
    classes: tuple[ClassCount, ...]
    files: FileFacts | None
    """None where the data set names no files"""
    folders: tuple[str, ...]
    """a picture in one of them, or below, would be an image of the data set"""
    unreadable: tuple[str, ...]
    """name, colon, why"""
    equal: tuple[EqualImages, ...]
    white: dict[str, float]
    """value of deep grey that became 255, by kind"""
    notes: tuple[str, ...]
    pictures: tuple[Picture, ...]


def look(request: LookRequest, registry: Registry, emit: Emit = lambda event: None) -> Look:
    """Read the data set and draw everything. Raises UserError with one line for each mistake."""
    dataset, notes = dataset_of(request.data, registry)
    wanted = read_wanted(request, dataset, registry)
    emit(StageStarted("reading images"))
    data = splits_of(dataset, request.download)
    classes, files = class_counts(data), file_facts(data)
    pictures = [images_picture(data, request.seed)]
    if files is not None and (odd := odd_picture(data, files)) is not None:
        pictures.append(odd)
    pictures += plugin_pictures(request, wanted, data)
    if classes:
        pictures.append(classes_picture(classes))
    return Look(
        request.data,
        data.facts(dataset.spec.fingerprint(dataset.params)),
        tuple(classes),
        files,
        folders_of(data, str(getattr(dataset.params, "root", ""))) if files else (),
        (*data.train.unreadable, *data.test.unreadable),
        tuple(equal_images(data)),
        data.white,
        (*notes, *wanted.notes),
        tuple(pictures),
    )


def folders_of(data: Splits, root: str) -> tuple[str, ...]:
    """Those that hold an image with a label; without labels the one that all lie below."""
    paths = [*data.train.paths, *data.test.paths]
    if data.train.labels is None:
        return (os.path.realpath(root or root_of(paths)),)
    return tuple(sorted({os.path.realpath(os.path.dirname(path)) for path in paths}))


def plugin_pictures(request: LookRequest, wanted: Wanted, data: Splits) -> Iterator[Picture]:
    """The views under each augmentation and the masks under each masking, of the same images."""
    size = data.image_size
    images = shown_images(data.pretraining, data.class_names, request.images, request.seed)
    for name, (text, choice) in zip(names("views", wanted.augmentations), wanted.augmentations, strict=True):
        augmentation, asked = choice.build(BuildContext()), view_requests(choice, size)
        yield views_picture(images, augmentation, asked, text, request.seed, name)
    grid = patch_grid(wanted, request.patch, size)
    square = replace(images, pixels=as_pixels(centre_view(images.pixels, size)))
    for name, (text, choice) in zip(names("masks", wanted.maskings), wanted.maskings, strict=True):
        assert isinstance(choice.params, MaskingParams)
        shown = ShownMasking(text, choice.build(BuildContext()), grid, choice.params.ratio)
        try:
            yield masks_picture(square, shown, request.seed, name)
        except UserError as error:
            raise UserError(*(f"--masking {text}: {line}" for line in error.messages)) from None


def names(what: str, choices: Sequence[tuple[str, Choice[Any]]]) -> list[str]:
    """Of pictures, each another: ``views-dino``, ``views-dino-2``."""
    found: list[str] = []
    for _, choice in choices:
        base = f"{what}-{re.sub('[^a-z0-9]+', '-', choice.name.lower()).strip('-')}"
        numbered = (f"{base}-{number}" for number in range(2, len(choices) + 2))
        found.append(next(name for name in (base, *numbered) if name not in found))
    return found
