"""A folder of images without labels, at any depth: for features, and for what can be judged without labels."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from sslbench import BuildContext, DatasetSpec, Split, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.class_folders import (
    SUFFIXES,
    FolderParams,
    is_image,
    name_below,
    read_files,
    stamps,
    walk,
)
from sslbench_plugins.blocks.images_on_disk.held_out import held_out
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits


class ImagesParams(FolderParams):
    root: str = param("", "the folder")
    files: tuple[str, ...] = param((), "images by name, in the place of a folder's")
    test_share: float = param(0.2, "part of the images to judge on; 0: all are in the training split", ge=0, lt=1)


def find(params: ImagesParams) -> tuple[Path, list[Path]]:
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
    root, paths = find(params)
    aside = held_out([name_below(path, root) for path in paths], [0] * len(paths), params.test_share)
    parts = [[path for path, out in zip(paths, aside, strict=True) if out is side] for side in (False, True)]
    where = f"images {root}" if params.root else "images"

    def split(chosen: list[Path]) -> tuple[Split, object]:
        done = read_files(chosen, root, params, where)
        kept = [str(chosen[place]) for place in done.kept]
        return Split(done.images, paths=kept, skipped=len(chosen) - len(kept)), done.sums

    train, sums = split(parts[0])
    return TwoSplits(train, lambda: split(parts[1])[0], (), sums)


def fingerprint(params: ImagesParams) -> str:
    """Digest of names, sizes and times of change; no image is read."""
    root, paths = find(params)
    digest = blake2b(digest_size=8)
    for line in stamps(paths, root):
        digest.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="images",
            summary=__doc__.partition("\n")[0],
            params=ImagesParams,
            build=build,
            fingerprint=fingerprint,
            provides=frozenset(),
        )
    ]
