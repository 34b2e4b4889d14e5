"""CIFAR-100: 60,000 photographs of 32 x 32 pixels in a hundred classes, fetched by torchvision when allowed."""

from __future__ import annotations

from pathlib import Path

from sslbench import DatasetSpec, hookimpl
from sslbench_plugins.blocks.images_on_disk.torchvision_files import Files, Part, channels_last_part, published

FILES = Files("cifar100", "cifar-100-python", "169 MB", "eb9058c3a382ffc7106e4002c42a8d85")
"""the checksum is that of cifar-100-python.tar.gz"""


def part(root: Path, train: bool, download: bool) -> Part:
    """A split as published."""
    # torchvision takes seconds to import; only a run on this data set pays for it.
    from torchvision.datasets import CIFAR100

    return channels_last_part(CIFAR100(root, train=train, download=download))


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    citation = "Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009"
    return [published(FILES, part, citation, __doc__)]
