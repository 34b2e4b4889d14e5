"""Published data sets that torchvision fetches, checks and opens: what they have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from sslbench import BuildContext, DatasetSpec, Params, PathText, Split, UserError, param, user_cache
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits

Result = TypeVar("Result")
Part = tuple[Tensor, Tensor, Sequence[str]]
"""uint8 ``[N, 3, S, S]``, int64 ``[N]``, names of the classes"""


class RootParams(Params):
    """Where the files lie."""

    root: PathText = param("", "folder that holds the data set's; empty: $SSLBENCH_DATA, or datasets in the cache")


@dataclass(frozen=True)
class Files:
    """What lies on disk of one data set."""

    dataset: str
    folder: str
    """below the root"""
    download: str
    """how much is fetched, in words"""
    md5: str
    """of the published archive, or a file of it, as torchvision checks it"""

    def root(self, params: RootParams) -> Path:
        """The folder that the user named, or the default one."""
        named = params.root or os.environ.get("SSLBENCH_DATA")
        return Path(os.path.expanduser(named)) if named else user_cache() / "datasets"

    def opened(self, params: RootParams, open_: Callable[[Path], Result]) -> Result:
        """What ``open_`` makes of the root. Raises UserError where the files are missing or damaged, or cannot be
        fetched."""
        root = self.root(params)
        try:
            return open_(root)
        except OSError as error:
            raise UserError(f"{self.dataset}: cannot be read in or fetched to {root}: {error}") from None
        except (RuntimeError, ValueError, EOFError) as error:
            if not (root / self.folder).exists():
                raise self.missing(root) from None
            raise UserError(
                f"{self.dataset}: {root / self.folder} is incomplete or damaged ({str(error).partition(chr(10))[0]});"
                " delete it and fetch it with --download"
            ) from None

    def missing(self, root: Path) -> UserError:
        """What to raise where the folder is not below the root."""
        return UserError(
            f"{self.dataset}: folder {self.folder} not found in {root}; --download fetches it ({self.download}),"
            f" or give the folder that has it: {self.dataset}:root=FOLDER"
        )

    def build(self, params: RootParams, context: BuildContext, part: Callable[[Path, bool, bool], Part]) -> TwoSplits:
        """The data set whose splits ``part(root, train, download)`` reads."""

        def opened(train: bool) -> Part:
            return self.opened(params, lambda root: part(root, train, context.download))

        images, labels, classes = opened(train=True)
        sides = images.shape[-1], images.shape[-1]
        return TwoSplits(
            Split(images, labels, sides=sides), lambda: Split(*opened(train=False)[:2], sides=sides), classes
        )


def channels_last_part(files: Any) -> Part:
    """A data set of torchvision that holds ``data``, uint8 ``[N, H, W, 3]``, ``targets`` and ``classes``."""
    images = torch.from_numpy(files.data).permute(0, 3, 1, 2).contiguous()
    return images, torch.tensor(files.targets), list(files.classes)


def published(
    files: Files, part: Callable[[Path, bool, bool], Part], citation: str, summary: str | None
) -> DatasetSpec:
    """The data set whose splits ``part(root, train, download)`` reads."""
    return DatasetSpec(
        name=files.dataset,
        params=RootParams,
        build=lambda params, context: files.build(params, context, part),
        fingerprint=lambda params: files.md5,
        citation=citation,
        summary=summary or "",
    )
