"""STL-10: 5,000 + 8,000 photographs of 96 x 96 pixels in ten classes, fetched by torchvision when allowed."""

from __future__ import annotations

from pathlib import Path

import torch

from sslbench import DatasetSpec, hookimpl
from sslbench_plugins.blocks.torchvision_files import Files, Part, RootParams
from sslbench_plugins.blocks.two_splits import TwoSplits

FILES = Files("stl10", "stl10_binary", "2.6 GB")
ARCHIVE_MD5 = "91f7769df0f17e558f3565bffb0c7dfb"
"""of stl10_binary.tar.gz, as published and as torchvision checks it"""
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def build(params: RootParams, *, download: bool) -> TwoSplits:
    from torchvision.datasets import STL10

    def part(root: Path, train: bool) -> Part:
        files = STL10(root, split="train" if train else "test", download=download)
        return torch.from_numpy(files.data).contiguous(), torch.from_numpy(files.labels).long(), CLASSES

    return FILES.build(params, part)


def fingerprint(params: RootParams) -> str:
    return ARCHIVE_MD5


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="stl10",
            summary=__doc__.partition("\n")[0],
            params=RootParams,
            build=build,
            fingerprint=fingerprint,
            citation="Coates, Lee, Ng: Single-Layer Networks in Unsupervised Feature Learning, AISTATS 2011",
        )
    ]
