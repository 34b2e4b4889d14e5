"""Fashion-MNIST: 70,000 grey images of clothes, 28 x 28 pixels, in ten classes, fetched by torchvision when allowed."""

from __future__ import annotations

from pathlib import Path

from sslbench import DatasetSpec, hookimpl
from sslbench_plugins.blocks.images_on_disk.torchvision_files import Files, Part, published

FILES = Files("fashion-mnist", "FashionMNIST/raw", "31 MB", "8d4fb7e6c68d591d4c3dfef9ec88bf0d")
"""the checksum is that of train-images-idx3-ubyte.gz"""


def part(root: Path, train: bool, download: bool) -> Part:
    """A split as published; grey in three equal channels."""
    from torchvision.datasets import FashionMNIST

    files = FashionMNIST(root, train=train, download=download)
    return files.data.unsqueeze(1).repeat(1, 3, 1, 1), files.targets.long(), list(files.classes)


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    citation = "Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv:1708.07747"
    return [published(FILES, part, citation, __doc__)]
