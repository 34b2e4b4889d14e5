"""Views per second: ours on whole batches, torchvision's one image at a time, one thread each; and from JPEG files."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import pytest
import torch
from torchvision.transforms import v2

from sslbench import BuildContext
from sslbench.contracts.augmentation import ViewRequest
from sslbench.hooks.registry import Registry
from sslbench.train.views import Normalise, TrainingViews
from sslbench_plugins.blocks.images_on_disk.decode import decode
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded

REGISTRY = Registry()
SIZES = {32: 256, 96: 64, 224: 16}
"""side of the images -> batch"""
PHOTOGRAPHS = "SSLBENCH_BENCH_PHOTOGRAPHS"
"""names a folder of JPEG files to measure with; without it, the two photographs that scikit-learn brings"""


def photographs(size):
    shape = (SIZES[size], 3, size, size)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", REGISTRY.catalogue.names("augmentation"))
def test_a_batch_of_views(benchmark, name, size):
    spec = REGISTRY.get("augmentation", name)
    transform = spec.build(spec.params(), BuildContext()).view(0, "global", size)
    images, generator = photographs(size), torch.Generator().manual_seed(0)
    benchmark.group = f"views {size} px"
    benchmark.extra_info["views"] = len(images)
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
def test_a_compiled_simclr_view(beside, size):
    """Normalised, as ``--compile`` makes it, beside the uncompiled one. The warm-up compiles: 15 to 20 s a size."""
    spec = REGISTRY.get("augmentation", "simclr")
    augmentation, normalise = spec.build(spec.params(), BuildContext()), Normalise([0.5] * 3, [0.25] * 3, "cpu")
    images, generator = photographs(size), torch.Generator().manual_seed(0)
    compiled, plain = (
        TrainingViews(augmentation, [ViewRequest("global", size)], normalise, how) for how in (True, False)
    )
    beside(
        f"a compiled view of {size} px",
        lambda: compiled(images, generator),
        "uncompiled",
        lambda: plain(images, generator),
    )


def simclr_by_lightly(size):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transforms = pytest.importorskip("lightly.transforms")
    return transforms.SimCLRTransform(input_size=size, normalize=None)


@pytest.mark.parametrize("size", SIZES)
def test_two_simclr_views(beside, size):
    """Of images that are in memory: a batch at once, beside lightly's transform of one PIL image after the other."""
    from PIL import Image

    theirs = simclr_by_lightly(size)
    spec = REGISTRY.get("augmentation", "simclr")
    views = [spec.build(spec.params(), BuildContext()).view(index, "global", size) for index in (0, 1)]
    images, generator = photographs(size), torch.Generator().manual_seed(0)
    pil = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images[:32]]
    beside(
        f"two views of {size} px",
        lambda: [view(images, generator) for view in views],
        "lightly",
        lambda: [theirs(image) for image in pil],
        work=(len(images), len(pil)),
    )


def jpegs():
    """Encoded photographs, at most 32."""
    folder = os.environ.get(PHOTOGRAPHS)
    if folder is None:
        from sklearn import datasets

        folder = Path(datasets.__file__).parent / "images"
    files = [path.read_bytes() for path in sorted(Path(folder).glob("*.jp*g"))[:32]]
    return files * max(1, 8 // len(files))


def decoded(raw):
    """As ``PIL.Image`` decodes it, channels nearest in memory: uint8 ``[1, 3, H, W]``."""
    return torch.from_numpy(decode(raw, None).pixels.copy()).permute(2, 0, 1)[None]


def test_two_simclr_views_of_224_px_from_jpeg(beside):
    """Decoded, and each view cropped from the whole photograph: the same work on both sides."""
    from PIL import Image

    theirs = simclr_by_lightly(224)
    spec = REGISTRY.get("augmentation", "simclr")
    views = [spec.build(spec.params(), BuildContext()).view(index, "global", 224) for index in (0, 1)]
    files, generator = jpegs(), torch.Generator().manual_seed(0)

    def ours():
        for raw in files:
            image = decoded(raw)
            for view in views:
                view(image, generator)

    beside(
        "two views of 224 px from JPEG",
        ours,
        "lightly",
        lambda: [theirs(Image.open(io.BytesIO(raw)).convert("RGB")) for raw in files],
    )


def test_two_simclr_views_of_224_px_from_a_streaming_data_set(beside):
    """As a run with ``reading=streaming`` makes them: read at 256 px in batches, and views of the batch."""
    from PIL import Image

    theirs = simclr_by_lightly(224)
    spec = REGISTRY.get("augmentation", "simclr")
    views = [spec.build(spec.params(), BuildContext()).view(index, "global", 224) for index in (0, 1)]
    files, generator = jpegs(), torch.Generator().manual_seed(0)
    encoded = Encoded(files, [str(number) for number in range(len(files))], 256, "photographs")
    encoded.__dict__["_threads"] = 1
    every = torch.arange(len(files))

    def ours():
        images = encoded[every]
        for view in views:
            view(images, generator)

    beside(
        "two views of 224 px from JPEG, read at 256 px",
        ours,
        "lightly",
        lambda: [theirs(Image.open(io.BytesIO(raw)).convert("RGB")) for raw in files],
    )
