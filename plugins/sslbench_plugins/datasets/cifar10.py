"""CIFAR-10: 60,000 photographs of 32 x 32 pixels in ten classes, fetched by torchvision when allowed."""

from __future__ import annotations

from pathlib import Path

from sslbench import DatasetSpec, hookimpl
from sslbench_plugins.blocks.images_on_disk.torchvision_files import Files, Part, channels_last_part, published

FILES = Files("cifar10", "cifar-10-batches-py", "170 MB", "c58f30108f718f92721af3b95e74349a")
"""the checksum is that of cifar-10-python.tar.gz"""


def part(root: Path, train: bool, download: bool) -> Part:
    """A split as published."""
    # torchvision takes seconds to import; only a run on this data set pays for it.
    from torchvision.datasets import CIFAR10

    return channels_last_part(CIFAR10(root, train=train, download=download))


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    citation = "Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009"
    return [published(FILES, part, citation, __doc__)]
