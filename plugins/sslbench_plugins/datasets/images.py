"""A folder of images without labels, at any depth: for features, and for evaluators that need no labels."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from sslbench import BuildContext, DatasetSpec, PathText, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.class_folders import (
    FolderFiles,
    FolderParams,
    LabelledFiles,
    instead,
    two_splits,
)
from sslbench_plugins.blocks.images_on_disk.folders import count_others, digest_of, existing_folder, is_image, walk
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits


class ImagesParams(FolderParams):
    """Which images, and how many of them are the test split."""

    root: PathText = param("", "the folder")
    files: tuple[str, ...] = param((), "images by name, in the place of a folder's")
    test_share: float = param(0.2, "part of the images to evaluate on; 0: all are in the training split", ge=0, lt=1)


def image_files(params: ImagesParams) -> FolderFiles:
    """Every image below the root, or those named, in their order. Raises UserError where there is none."""
    if params.files:
        paths = [Path(os.path.expanduser(name)) for name in params.files]
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            raise UserError(*(f"images: {path} does not exist" for path in missing))
        return FolderFiles(Path(), LabelledFiles(paths, [""] * len(paths)), None)
    if not params.root:
        raise UserError("images: give root=FOLDER")
    root = existing_folder(params.root, "images", "expected a folder of images, at any depth")
    files = walk(root)
    paths = [path for path in files if is_image(path)]
    if not paths:
        raise UserError(f"images: {root} holds no image{instead(files)}")
    left_out = partial(count_others, root, paths, lambda path: "not looked at")
    return FolderFiles(root, LabelledFiles(paths, [""] * len(paths)), None, left_out)


def build(params: ImagesParams, context: BuildContext) -> TwoSplits:
    """A fixed share of the images, by a hash of the name, is the test split."""
    files = image_files(params)
    where = f"images {files.root}" if params.root else "images"
    return two_splits("images", where, files, params, params.test_share)


def fingerprint(params: ImagesParams) -> str:
    """Digest of names, sizes and times of change; no image is read."""
    return digest_of(image_files(params).stamps)


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [DatasetSpec(name="images", params=ImagesParams, build=build, fingerprint=fingerprint, provides=frozenset())]
