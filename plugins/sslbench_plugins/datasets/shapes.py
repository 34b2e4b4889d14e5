"""Procedural scenes with known factors, object masks and depth: one to three figures on a textured ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sslbench import BuildContext, DatasetSpec, Params, Split, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits, channel_sums
from sslbench_plugins.blocks.scenes import render
from sslbench_plugins.blocks.scenes.scene import MOST_OBJECTS, Scenes, draw
from sslbench_plugins.blocks.scenes.signed_distance import FIGURES

VERSION = "2"
"""changes whenever a pixel or a factor does"""
GROUND_COLOUR = ("background_red_green", "background_blue_yellow")
OF_MAIN_OBJECT = ("figure", "hue", "x", "y", "scale", "rotation", "depth")
MOST_IMAGES = 100_000_000
CHUNK = STATISTICS = 4096
"""scenes drawn at a time; and training images, the first ones, that mean and deviation are computed over"""
GIB = 1 << 30


class ShapesParams(Params):
    """How many scenes, what is in them, and where their images lie."""

    image_size: int = param(32, "side of the images", ge=16, le=1024, unit="px")
    train_images: int = param(10_000, "images to train on", ge=2, le=MOST_IMAGES)
    test_images: int = param(2_000, "images to evaluate on", ge=1, le=MOST_IMAGES)
    objects: int = param(3, "most objects in an image; each number from 1 on is as frequent", ge=1, le=MOST_OBJECTS)
    seed: int = param(0, "another seed draws other scenes", ge=0)
    reading: Literal["auto", "resident", "streaming"] = param(
        "auto",
        "images are rendered once and lie in memory, or are rendered when needed; auto: memory up to memory_limit",
    )
    memory_limit: float = param(4.0, "size of a split up to which `auto` is resident", ge=0, unit="GiB")


@dataclass(frozen=True)
class Rendered:
    """Images or maps of one split, each rendered when it is read."""

    name: str
    count: int
    params: ShapesParams
    render: Callable[[Scenes, int], Tensor]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, indices: Tensor) -> Tensor:
        """int64 ``[B]`` -> ``[B, 3, S, S]`` or ``[B, S, S]``. Raises IndexError beyond the split."""
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < self.count:
            raise IndexError(f"indices {int(indices.min())}..{int(indices.max())} of {self.count} images")
        return self.render(draw(self.name, indices, self.params.objects), self.params.image_size)

    def all(self) -> Tensor:
        """All images in memory, uint8 ``[N, 3, S, S]``."""
        size = self.params.image_size
        out = torch.empty(self.count, 3, size, size, dtype=torch.uint8)
        for indices in torch.split(torch.arange(self.count), CHUNK):
            out[indices[0] : indices[-1] + 1] = self[indices]
        return out


def labels_and_factors(name: str, count: int, params: ShapesParams) -> tuple[Tensor, dict[str, Tensor]]:
    """Labels and factors, all of the main object but for the ground's and the number of objects."""
    columns: dict[str, list[Tensor]] = {}
    for indices in torch.split(torch.arange(count), CHUNK):
        scenes = draw(name, indices, params.objects)
        part = {factor: getattr(scenes, factor)[:, 0] for factor in OF_MAIN_OBJECT}
        part |= {"background": scenes.texture, "objects": scenes.count - 1}
        part |= dict(zip(GROUND_COLOUR, scenes.ground_colour, strict=True))
        for factor, values in part.items():
            columns.setdefault(factor, []).append(values)
    factors = {factor: torch.cat(values) for factor, values in columns.items()}
    return factors.pop("figure"), factors


def split_of(part: str, count: int, params: ShapesParams) -> Split:
    """So many scenes of the training or the test part."""
    name = f"shapes/{params.seed}/{part}"
    labels, factors = labels_and_factors(name, count, params)
    images, masks, depths = (
        Rendered(name, count, params, function) for function in (render.images, render.masks, render.depths)
    )
    fits = 3 * count * params.image_size**2 <= params.memory_limit * GIB
    resident = params.reading == "resident" or (params.reading == "auto" and fits)
    return Split(images.all() if resident else images, labels, factors, maps={"mask": masks, "depth": depths})


def build(params: ShapesParams, context: BuildContext) -> TwoSplits:
    """Both splits; the test split is drawn when it is first used."""
    train = split_of("train", params.train_images, params)
    sums = channel_sums(train.images[torch.arange(min(STATISTICS, len(train)))])
    return TwoSplits(train, lambda: split_of("test", params.test_images, params), list(FIGURES), sums)


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="shapes",
            params=ShapesParams,
            build=build,
            fingerprint=lambda params: f"shapes-{VERSION}",
            provides=frozenset({"labels", "factors", "mask", "depth"}),
        )
    ]
