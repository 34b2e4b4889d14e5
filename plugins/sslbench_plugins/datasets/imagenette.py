"""Imagenette: 13,394 photographs of ten easy classes of ImageNet, fetched by torchvision when allowed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from sslbench import BuildContext, DatasetSpec, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.class_folders import FolderFiles, FolderParams, class_files, read_both
from sslbench_plugins.blocks.images_on_disk.folders import visible
from sslbench_plugins.blocks.images_on_disk.torchvision_files import Files, RootParams
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits

FILES = {
    "full": Files("imagenette", "imagenette2", "1.5 GB", "fe2fc210e6bb7c5664d602c3cd71e612"),
    "320px": Files("imagenette", "imagenette2-320", "330 MB", "3df6f0d01a2c9592104656642f5e78a3"),
    "160px": Files("imagenette", "imagenette2-160", "95 MB", "e793b78cc4c9e9a4ccc0c1155377a412"),
}
CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
"""folder, named by WordNet -> words"""
LAYOUT = "delete the folder and fetch it with --download"


class ImagenetteParams(FolderParams, RootParams):
    """Which of the published sizes, and how it is read."""

    version: Literal["full", "320px", "160px"] = param("160px", "shorter side of the files' images")
    size: int = param(128, "side to which images are resized and centre-cropped when read", ge=4, unit="px")


def build(params: ImagenetteParams, context: BuildContext) -> TwoSplits:
    """Both splits as published; classes have words for names. Raises UserError where files are missing."""
    files = FILES[params.version]
    folder = files.root(params) / files.folder
    if context.download and not folder.is_dir():
        from torchvision.datasets import Imagenette

        files.opened(params, lambda root: Imagenette(root, size=params.version, download=True))
    if not folder.is_dir():
        raise files.missing(files.root(params))
    parts = [folder / name for name in ("train", "val")]
    for part in parts:
        if not part.is_dir() or {item.name for item in visible(part)} != set(CLASSES):
            raise UserError(f"imagenette: {part} has not the ten folders {min(CLASSES)} to {max(CLASSES)}; {LAYOUT}")
    train_files, test_files = (class_files(part, "imagenette", LAYOUT) for part in parts)
    both = FolderFiles(folder, train_files, test_files)
    data = read_both(f"imagenette {folder}", both, (train_files, test_files), list(CLASSES), params)
    return replace(data, classes=list(CLASSES.values()))


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="imagenette",
            params=ImagenetteParams,
            build=build,
            fingerprint=lambda params: FILES[params.version].md5,
            citation="Howard: Imagenette, github.com/fastai/imagenette, version 2",
        )
    ]
