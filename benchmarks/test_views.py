"""Views per second: ours on whole batches, torchvision's one image at a time, one thread each."""

from __future__ import annotations

import warnings

import pytest
import torch
from torchvision.transforms import v2

from sslbench.hooks.registry import Registry

REGISTRY = Registry()
SIZES = {32: 256, 96: 64}
"""side of the images -> batch"""


def photographs(size):
    shape = (SIZES[size], 3, size, size)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", REGISTRY.catalogue.names("augmentation"))
def test_a_batch_of_views(benchmark, name, size):
    spec = REGISTRY.get("augmentation", name)
    transform = spec.build(spec.params()).view(0, "global", size)
    images, generator = photographs(size), torch.Generator().manual_seed(0)
    benchmark.group = f"views {size} px"
    benchmark.extra_info["views"] = len(images)
    if name == "simclr":
        benchmark.extra_info["against"] = "lightly"
    benchmark(transform, images, generator)


@pytest.mark.parametrize("size", SIZES)
def test_simclr_by_torchvision_image_by_image(benchmark, size):
    jitter = v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], 0.8)
    blur = v2.RandomApply([v2.GaussianBlur(max(3, size // 10 | 1), (0.1, 2.0))], 0.5)
    steps = [
        v2.RandomResizedCrop(size, antialias=True),
        v2.RandomHorizontalFlip(),
        jitter,
        v2.RandomGrayscale(0.2),
        blur,
    ]
    transform = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True)])
    images = photographs(size)
    benchmark.group = f"views {size} px"
    benchmark.extra_info["views"] = len(images)
    benchmark(lambda: torch.stack([transform(image) for image in images]))


@pytest.mark.parametrize("size", SIZES)
def test_simclr_by_lightly_image_by_image(benchmark, size):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transforms = pytest.importorskip("lightly.transforms")
    from PIL import Image

    transform = transforms.SimCLRTransform(input_size=size, normalize=None)
    images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in photographs(size)[:64]]
    benchmark.group = f"views {size} px"
    benchmark.extra_info.update(views=2 * len(images), peer="lightly")
    benchmark(lambda: [transform(image) for image in images])
