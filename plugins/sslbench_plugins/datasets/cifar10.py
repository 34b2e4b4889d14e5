"""CIFAR-10: 60,000 photographs of 32 x 32 pixels in ten classes, fetched by torchvision when allowed."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from sslbench import DatasetSpec, Params, Split, UserError, hookimpl, param
from sslbench_plugins.blocks.two_splits import TwoSplits

ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
"""of cifar-10-python.tar.gz, as published and as torchvision checks it"""


class Cifar10Params(Params):
    root: str = param("", "folder with cifar-10-batches-py; empty: $SSLBENCH_DATA or ~/.cache/sslbench/datasets")


def folder_of(params: Cifar10Params) -> Path:
    default = os.environ.get("SSLBENCH_DATA") or "~/.cache/sslbench/datasets"
    return Path(params.root or default).expanduser()


def build(params: Cifar10Params, *, download: bool) -> TwoSplits:
    # torchvision takes seconds to import; only a run on this data set pays for it.
    from torchvision.datasets import CIFAR10

    root = folder_of(params)
    try:
        parts = [CIFAR10(root, train=train, download=download) for train in (True, False)]
    except RuntimeError:
        raise UserError(
            f"cifar10: not found in {root}; --download fetches it, or give the folder that has cifar-10-batches-py:"
            " cifar10:root=FOLDER"
        ) from None
    except OSError as error:
        raise UserError(f"cifar10: cannot be fetched to {root}: {error}") from None
    train, test = (
        Split(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
        for part in parts
    )
    return TwoSplits(train, lambda: test, list(parts[0].classes))


def fingerprint(params: Cifar10Params) -> str:
    return ARCHIVE_MD5


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="cifar10",
            summary=__doc__.partition("\n")[0],
            params=Cifar10Params,
            build=build,
            fingerprint=fingerprint,
            citation="Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
        )
    ]
