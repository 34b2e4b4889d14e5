"""STL-10: photographs of 96 x 96 pixels in ten classes, and 100,000 without labels, fetched by torchvision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from sslbench import BuildContext, DatasetSpec, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.reading import Mapped
from sslbench_plugins.blocks.images_on_disk.torchvision_files import Files, Part, RootParams
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits

FILES = Files("stl10", "stl10_binary", "2.6 GB", "91f7769df0f17e558f3565bffb0c7dfb")
"""the checksum is that of stl10_binary.tar.gz"""
SIDE = 96
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


class Stl10Params(RootParams):
    """Where the files lie, and which images methods are trained on."""

    unlabelled: bool = param(
        False, "train methods on the 100,000 images without labels; probes are fitted on the labelled 5,000"
    )


class Columns(Mapped):
    """The images of a file, which it holds column by column; read when they are needed."""

    def __getitem__(self, indices: Tensor) -> Tensor:
        return super().__getitem__(indices).transpose(2, 3).contiguous()


def build(params: Stl10Params, context: BuildContext) -> TwoSplits:
    """Both splits as published, and the images without labels where they are wanted."""
    from torchvision.datasets import STL10

    def part(root: Path, train: bool, download: bool) -> Part:
        files = STL10(root, split="train" if train else "test", download=download)
        return torch.from_numpy(files.data).contiguous(), torch.from_numpy(files.labels).long(), CLASSES

    data = FILES.build(params, context, part)
    if not params.unlabelled:
        return data
    # torchvision has checked this file with the others.
    path = FILES.root(params) / FILES.folder / "unlabeled_X.bin"
    images = Columns(path, (path.stat().st_size // (3 * SIDE * SIDE), 3, SIDE, SIDE))
    return replace(data, train=replace(data.train, unlabelled=images))


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="stl10",
            params=Stl10Params,
            build=build,
            fingerprint=lambda params: FILES.md5,
            citation="Coates, Lee, Ng: Single-Layer Networks in Unsupervised Feature Learning, AISTATS 2011",
        )
    ]
