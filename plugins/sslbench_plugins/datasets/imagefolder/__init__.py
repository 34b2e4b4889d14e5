"""A folder of your own images: one folder a class, or train/ and test/ with one folder a class in each."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from sslbench import BuildContext, DatasetSpec, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.class_folders import (
    FolderParams,
    Found,
    classes_of,
    has_folder,
    name_below,
    visible,
)
from sslbench_plugins.blocks.images_on_disk.held_out import held_out
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.datasets.imagefolder.label_table import read_table

TRAIN = ("train", "training")
TEST = ("test", "val", "valid", "validation")
LAYOUT = "expected ROOT/CLASS/IMAGE, or ROOT/train/CLASS/IMAGE and ROOT/test/CLASS/IMAGE"


class ImageFolderParams(FolderParams):
    root: str = param(..., "the folder", min_length=1)
    labels: str = param("", "a CSV file of path and label, and split if it has one, in the place of class folders")
    test_share: float = param(0.2, "part of each class to judge on, where there is no test folder", gt=0, lt=1)


def find(params: ImageFolderParams) -> tuple[Path, Found, Found | None]:
    """The root, the training split, and the test split where the folder has one. Raises UserError for a folder that is
    not laid out so."""
    root = Path(params.root).expanduser()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise UserError(f"imagefolder: root={params.root} {what}; {LAYOUT}")
    if params.labels:
        table = read_table(Path(params.labels).expanduser(), root)
        known = set(table.train.labels)
        stray = sorted(set(table.test.labels) - known) if table.test else []
        if stray:
            raise UserError(f"imagefolder: labels={params.labels} has class {stray[0]!r} in its test split alone")
        return root, table.train, table.test
    folders = {item.name.lower(): item for item in visible(root) if item.is_dir()}
    train = next((folders[name] for name in TRAIN if name in folders), None)
    tests = [folders[name] for name in TEST if name in folders]
    # A test folder without classes holds images without labels: val/ is then the one to judge on.
    test = next((item for item in tests if has_folder(item)), tests[0] if tests else None)
    if train is None and folders and set(folders) <= set(TEST):
        given = " and ".join(sorted(folders))
        raise UserError(f"imagefolder: {root} has {given} but no folder train; {LAYOUT}")
    if train is None or (test is None and not has_folder(train)):
        return root, classes_of(root, "imagefolder", LAYOUT), None
    judged = classes_of(test, "imagefolder", LAYOUT) if test else None
    found = classes_of(train, "imagefolder", LAYOUT)
    unknown = sorted(set(judged.labels) - set(found.labels)) if judged else []
    if unknown:
        raise UserError(f"imagefolder: {test} has class {unknown[0]!r}, which {train} does not have")
    return root, found, judged


def build(params: ImageFolderParams, context: BuildContext) -> TwoSplits:
    root, found, judged = find(params)
    classes = sorted(set(found.labels))
    if judged is None:
        names = [Path(name_below(path, root)).as_posix() for path in found.paths]
        aside = held_out(names, [classes.index(label) for label in found.labels], params.test_share)
        judged = found.only([place for place, out in enumerate(aside) if out])
        found = found.only([place for place, out in enumerate(aside) if not out])
    where = f"imagefolder {root}"
    train, sums = found.split(root, classes, params, where)
    assert train.labels is not None
    lost = set(range(len(classes))) - set(train.labels.tolist())
    if lost:
        raise UserError(f"imagefolder: class {classes[min(lost)]!r} has no image to train on that can be read")
    return TwoSplits(train, lambda: judged.split(root, classes, params, where)[0], classes, sums)


def fingerprint(params: ImageFolderParams) -> str:
    """Digest of names, sizes and times of change; no image is read."""
    root, train, test = find(params)
    digest = blake2b(digest_size=8)
    lines = train.stamps(root) + (test.stamps(root) if test else [])
    if params.labels:
        lines += [*train.labels, *(["", *test.labels] if test else [])]
    for line in lines:
        digest.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="imagefolder",
            summary=__doc__.partition("\n")[0],
            params=ImageFolderParams,
            build=build,
            fingerprint=fingerprint,
        )
    ]
