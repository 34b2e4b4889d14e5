"""Pictures of what a method is trained on: images, their random views, and which patches of them are masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sslbench.contracts.augmentation import Augmentation, ViewRequest
from sslbench.contracts.evaluator import Picture
from sslbench.draw.tiles import tile_rows
from sslbench.hooks.import_state import put_back
from sslbench.train.mask_pictures import ShownMasking, masks_picture
from sslbench.train.randomness import Stream
from sslbench.train.shown_images import DRAWN, LabelledImages, shown_images
from sslbench.train.task import TrainingTask

IMAGES = 5
"""of a pretraining that are shown"""


def view_pictures(task: TrainingTask, augmentation: str, masking: str, seed: int) -> list[Picture]:
    """``views`` of some training images, and ``masks`` of these views where the method masks any: what the training
    with this seed draws from, drawn from generators of its own. ``augmentation``, ``masking``: names for captions."""
    split, method = task.data.pretraining, task.method
    if not method.views:
        return []
    with put_back():
        images = shown_images(split, task.data.class_names, IMAGES, seed)
        pictures = [views_picture(images, task.augmentation, method.views, augmentation, seed)]
        if task.masking is not None and method.mask_grid is not None and task.mask_ratio is not None:
            first, generator = method.views[0], Stream(seed, "pictures").at(1)
            transform = task.augmentation.view(0, first.kind, first.size)
            views = replace(images, pixels=as_pixels(transform(images.pixels, generator)))
            shown = ShownMasking(masking, task.masking, method.mask_grid, task.mask_ratio, method.masks)
            pictures.append(masks_picture(views, shown, seed))
    return pictures


def views_picture(
    images: LabelledImages,
    augmentation: Augmentation,
    requests: Sequence[ViewRequest],
    label: str,
    seed: int,
    name: str = "views",
) -> Picture:
    """Each image, and beside it the views that a method asks for; ``label``: what the caption calls the augmentation.
    Raises whatever the augmentation raises."""
    generator = Stream(seed, "pictures").at(0)
    columns, headings = [images.pixels], ["image"]
    for index, request in enumerate(requests):
        transform = augmentation.view(index, request.kind, request.size)
        number = sum(other.kind == request.kind for other in requests[: index + 1])
        for _ in range(max(1, DRAWN // len(requests))):
            columns.append(as_pixels(transform(images.pixels, generator)))
            headings.append(f"{request.kind} {number}")
    sizes = dict.fromkeys(f"{request.kind} views of {request.size} px" for request in requests)
    caption = (
        f"Each row is a training image as it is read, and {len(columns) - 1} random views of it by augmentation"
        f" {label}: {' and '.join(sizes)}."
    )
    return Picture(name, tile_rows(images.rows(columns), headings), images.captioned(caption))


def as_pixels(views: Tensor) -> Tensor:
    """Float ``[B, 3, S, S]`` in 0..1 -> uint8."""
    return (views.detach().cpu() * 255).round().clamp(0, 255).to(torch.uint8)
