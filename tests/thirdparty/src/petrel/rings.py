"""Rings: one, two or three concentric rings on noise, drawn from a seed; their centre is a factor."""

from dataclasses import dataclass

import torch

from sslbench import BuildContext, DatasetSpec, Params, Split, hookimpl, param


class RingsParams(Params):
    images: int = param(96, "images of the training split; a third as many are in the test split", ge=9)
    side: int = param(16, "side of the images", ge=16, unit="pixels")


@dataclass(frozen=True)
class Rings:
    splits: dict
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    classes: tuple[str, ...] = ("one", "two", "three")

    def split(self, name):
        return self.splits[name]


def draw(count: int, side: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = 0.4 + 0.2 * torch.rand(count, 2, generator=generator)
    places = (torch.arange(side) + 0.5) / side
    rows, columns = places[:, None] - centres[:, 0, None, None], places - centres[:, 1, None, None]
    radius = (rows**2 + columns**2).sqrt() * side / 2.5
    bright = (radius % 1 < 0.5) & (radius < labels[:, None, None] + 1)
    pixels = torch.randint(100, (count, 3, side, side), generator=generator) + 150 * bright[:, None]
    return Split(pixels.to(torch.uint8), labels, factors={"row": centres[:, 0], "column": centres[:, 1]})


def build(params: RingsParams, context: BuildContext) -> Rings:
    train, test = draw(params.images, params.side, 0), draw(params.images // 3, params.side, 1)
    pixels = train.images / 255
    mean, std = (tuple(of(pixels, dim=(0, 2, 3)).tolist()) for of in (torch.mean, torch.std))
    return Rings({"train": train, "test": test}, params.side, mean, std)


@hookimpl
def sslbench_datasets():
    return [
        DatasetSpec(
            name="rings",
            params=RingsParams,
            build=build,
            fingerprint=lambda params: f"rings {params.images} {params.side}",
            provides=frozenset({"labels", "factors"}),
        )
    ]
