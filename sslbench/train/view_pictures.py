"""Pictures of what a method is trained on: images, their random views, and which patches of them are masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.nn import functional

from sslbench.contracts.augmentation import Augmentation, ViewRequest
from sslbench.contracts.dataset import Split
from sslbench.contracts.evaluator import Picture
from sslbench.contracts.masking import Masking
from sslbench.draw.tiles import Tile, TileRow, tile_rows
from sslbench.draw.words import drawable_names, with_names
from sslbench.hooks.import_state import put_back
from sslbench.train.randomness import Stream, stream_seed
from sslbench.train.task import TrainingTask

IMAGES = 5
"""of a pretraining that are shown"""
DRAWN = 6
"""views or masks beside each image; a view is drawn again where a method asks for fewer, and all where for more"""
GREY = 127
"""value of a masked patch"""


@dataclass(frozen=True)
class LabelledImages:
    """Images whose views and masks are shown."""

    pixels: Tensor
    """uint8 ``[B, 3, H, W]``, as the data set has them"""
    labels: Sequence[int] = ()
    """the class of each; empty without labels"""
    classes: Sequence[str] = ()
    """names of the classes"""

    @property
    def words(self) -> list[str]:
        """What stands beside each image: the name of its class, or ``class 3``; nothing without labels."""
        names = drawable_names(self.classes, max([*self.labels, len(self.classes) - 1], default=0) + 1)
        return [names[label] for label in self.labels] or [""] * len(self.pixels)

    def rows(self, columns: Sequence[Tensor]) -> list[TileRow]:
        """One for each image; ``columns``: uint8 ``[B, 3, h, w]`` each."""
        parts = zip(*columns, strict=True)
        return [
            TileRow([Tile(image) for image in images], word) for images, word in zip(parts, self.words, strict=True)
        ]

    def captioned(self, caption: str) -> str:
        """With the names of classes that stand beside the images as numbers."""
        return with_names(caption, self.classes, self.labels)


@dataclass(frozen=True)
class ShownMasking:
    """A masking, and what it masks."""

    name: str
    masking: Masking
    grid: tuple[int, int]
    """rows and columns of patches"""
    ratio: float
    """share of the patches that are masked, in (0, 1)"""


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
            shown = ShownMasking(masking, task.masking, method.mask_grid, task.mask_ratio)
            pictures.append(masks_picture(views, shown, seed))
    return pictures


def shown_images(split: Split, classes: Sequence[str], count: int, seed: int) -> LabelledImages:
    """At most ``count`` images, as ``spread_over_classes``; ``classes``: names."""
    indices = torch.tensor(spread_over_classes(split, count, seed))
    labels = [] if split.labels is None else split.labels[indices].tolist()
    return LabelledImages(split.images[indices].cpu(), labels, classes)


def spread_over_classes(split: Split, count: int, seed: int) -> list[int]:
    """Indices of at most ``count`` images, drawn from the seed: one of each class, then a second one of each..., the
    classes in a random order; of all images alike without labels."""
    generator = torch.Generator().manual_seed(stream_seed(seed, "shown images"))
    order = torch.randperm(len(split), generator=generator)
    if split.labels is None:
        return [int(index) for index in order[:count]]
    seen: dict[int, int] = {}
    turns = []
    for place, label in enumerate(split.labels.cpu()[order].tolist()):
        seen[label] = seen.get(label, -1) + 1
        turns.append((seen[label], place))
    return [int(order[place]) for _, place in sorted(turns)[:count]]


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


def masks_picture(images: LabelledImages, shown: ShownMasking, seed: int, name: str = "masks") -> Picture:
    """Each image, square, and beside it what a model sees of it under masks drawn for it. Raises whatever the masking
    raises."""
    generator = Stream(seed, "pictures").at(2)
    masks = [sampled(shown, len(images.pixels), generator) for _ in range(DRAWN)]
    columns = [images.pixels, *(masked(images.pixels, mask, shown.grid) for mask in masks)]
    patches, hidden = shown.grid[0] * shown.grid[1], int(masks[0][0].sum())
    height, width = images.pixels.shape[-2] / shown.grid[0], images.pixels.shape[-1] / shown.grid[1]
    caption = (
        f"Each row is an image as the model is given it, and {DRAWN} masks drawn for it by masking {shown.name}:"
        f" {hidden} of {patches} patches of {height:g} x {width:g} px are masked (grey), {patches - hidden} are visible"
        f" ({100 * (patches - hidden) / patches:.0f}%)."
    )
    headings = ["image", *["mask"] * DRAWN]
    return Picture(name, tile_rows(images.rows(columns), headings), images.captioned(caption))


def sampled(shown: ShownMasking, batch: int, generator: Generator) -> Tensor:
    """bool ``[B, rows * cols]``, True = masked."""
    return shown.masking.sample(batch, shown.grid, shown.ratio, generator)


def masked(images: Tensor, mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """uint8 ``[B, 3, H, W]`` with the masked patches grey; ``mask``: bool ``[B, rows * cols]``, True = masked."""
    whole = functional.interpolate(mask.view(-1, 1, *grid).float(), images.shape[-2:]).bool()
    return images.masked_fill(whole, GREY)


def as_pixels(views: Tensor) -> Tensor:
    """Float ``[B, 3, S, S]`` in 0..1 -> uint8."""
    return (views.detach().cpu() * 255).round().clamp(0, 255).to(torch.uint8)
