"""Images whose views and masks are shown, with the names of their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sslbench.contracts.dataset import Split
from sslbench.draw.tiles import Tile, TileRow
from sslbench.draw.words import drawable_names, with_names
from sslbench.train.randomness import stream_seed

DRAWN = 6
"""views or masks beside each image; a view is drawn again where a method asks for fewer, and all where for more"""


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
