"""A folder of images without labels, at any depth: for features, and for evaluators that need no labels."""

from __future__ import annotations

from pathlib import Path

from sslbench import BuildContext, DatasetSpec, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.class_folders import FolderParams, LabelledFiles, two_splits
from sslbench_plugins.blocks.images_on_disk.folders import SUFFIXES, digest_of, is_image, stamps, walk
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits


class ImagesParams(FolderParams):
    """Which images, and how many of them are the test split."""

    root: str = param("", "the folder")
    files: tuple[str, ...] = param((), "images by name, in the place of a folder's")
    test_share: float = param(0.2, "part of the images to evaluate on; 0: all are in the training split", ge=0, lt=1)


def image_files(params: ImagesParams) -> tuple[Path, list[Path]]:
    """The root and every image below it, or those named, in their order. Raises UserError where there is none."""
    if params.files:
        paths = [Path(name).expanduser() for name in params.files]
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise UserError(*(f"images: {path} does not exist" for path in missing))
        return Path(), paths
    root = Path(params.root).expanduser()
    if not params.root or not root.is_dir():
        what = "is a file, not a folder" if params.root and root.exists() else "does not exist"
        raise UserError(f"images: root={params.root} {what}" if params.root else "images: give root=FOLDER")
    paths = [path for path in walk(root) if is_image(path)]
    if not paths:
        raise UserError(f"images: {root} holds no image (endings: {' '.join(sorted(SUFFIXES))})")
    return root, paths


def build(params: ImagesParams, context: BuildContext) -> TwoSplits:
    """A fixed share of the images, by a hash of the name, is the test split."""
    root, paths = image_files(params)
    files, where = LabelledFiles(paths, [""] * len(paths)), f"images {root}" if params.root else "images"
    return two_splits("images", where, (root, files, None), params, params.test_share)


def fingerprint(params: ImagesParams) -> str:
    """Digest of names, sizes and times of change; no image is read."""
    root, paths = image_files(params)
    return digest_of(stamps(paths, root))


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [DatasetSpec(name="images", params=ImagesParams, build=build, fingerprint=fingerprint, provides=frozenset())]
