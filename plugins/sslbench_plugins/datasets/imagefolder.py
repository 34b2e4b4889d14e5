"""A folder of your own images: one folder a class, or train/ and test/ with one folder a class in each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import torch

from sslbench import DatasetSpec, Params, Split, UserError, hookimpl, param
from sslbench_plugins.blocks.decode import decode_all
from sslbench_plugins.blocks.held_out import held_out
from sslbench_plugins.blocks.two_splits import TwoSplits

TRAIN = ("train", "training")
TEST = ("test", "val", "valid", "validation")
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .bmp .gif .tif .tiff .webp .ppm .pgm .pbm .jp2 .avif .ico .tga".split()
)
LAYOUT = "expected ROOT/CLASS/IMAGE, or ROOT/train/CLASS/IMAGE and ROOT/test/CLASS/IMAGE"


class ImageFolderParams(Params):
    root: str = param(..., "the folder", min_length=1)
    size: int = param(64, "side to which images are resized and centre-cropped when read", ge=4, unit="px")
    on_error: str = param("error", "what to do with an image that cannot be read", pattern="^(error|skip)$")
    test_share: float = param(0.2, "part of each class to judge on, where there is no test folder", gt=0, lt=1)


@dataclass(frozen=True)
class Found:
    """Files and classes of one split, sorted."""

    paths: list[Path]
    labels: list[str]


def find(params: ImageFolderParams) -> tuple[Path, Found, Found | None]:
    """The root, the training split, and the test split where the folder has one. Raises UserError for a folder that is
    not laid out so."""
    root = Path(params.root).expanduser()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise UserError(f"imagefolder: root={params.root} {what}; {LAYOUT}")
    folders = {item.name.lower(): item for item in visible(root) if item.is_dir()}
    train = next((folders[name] for name in TRAIN if name in folders), None)
    tests = [folders[name] for name in TEST if name in folders]
    # A test folder without classes holds images without labels: val/ is then the one to judge on.
    test = next((item for item in tests if has_folder(item)), tests[0] if tests else None)
    if train is None and folders and set(folders) <= set(TEST):
        given = " and ".join(sorted(folders))
        raise UserError(f"imagefolder: {root} has {given} but no folder train; {LAYOUT}")
    if train is None or (test is None and not has_folder(train)):
        return root, classes_of(root), None
    judged = classes_of(test) if test else None
    found = classes_of(train)
    unknown = sorted(set(judged.labels) - set(found.labels)) if judged else []
    if unknown:
        raise UserError(f"imagefolder: {test} has class {unknown[0]!r}, which {train} does not have")
    return root, found, judged


def classes_of(folder: Path) -> Found:
    """Every image below every class folder. A class without one is an error, and so is a folder without a class."""
    classes = [item for item in visible(folder) if item.is_dir()]
    if not classes:
        loose = sum(is_image(item) for item in visible(folder))
        what = f"has {loose} images but no folder for a class" if loose else "has no folder with images in it"
        raise UserError(f"imagefolder: {folder} {what}; {LAYOUT}")
    found = Found([], [])
    for item in classes:
        images = [path for path in walk(item) if is_image(path)]
        if not images:
            raise UserError(f"imagefolder: class folder {item} holds no image (endings: {' '.join(sorted(SUFFIXES))})")
        found.paths.extend(images)
        found.labels.extend([item.name] * len(images))
    return found


def has_folder(folder: Path) -> bool:
    return any(item.is_dir() for item in visible(folder))


def visible(folder: Path) -> list[Path]:
    """What is in a folder, sorted, without what systems leave there."""
    return sorted(item for item in folder.iterdir() if not item.name.startswith((".", "__MACOSX")))


def walk(folder: Path) -> list[Path]:
    """All files below a folder, sorted; links to folders are followed only once."""
    files: list[Path] = []
    seen = {os.path.realpath(folder)}
    for base, folders, names in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(folders):
            place = os.path.realpath(os.path.join(base, name))
            if not name.startswith((".", "__MACOSX")) and place not in seen:
                seen.add(place)
                kept.append(name)
        folders[:] = kept
        files += [Path(base, name) for name in sorted(names) if not name.startswith(".")]
    return files


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def build(params: ImageFolderParams, *, download: bool) -> TwoSplits:
    root, train, test = find(params)
    classes = sorted(set(train.labels))
    number = {name: place for place, name in enumerate(classes)}
    if test is None:
        names = [path.relative_to(root).as_posix() for path in train.paths]
        aside = held_out(names, [number[label] for label in train.labels], params.test_share)
        parts = [
            Found(*(list(part) for part in zip(*chosen, strict=True))) if chosen else Found([], [])
            for chosen in (
                [
                    pair
                    for pair, out in zip(zip(train.paths, train.labels, strict=True), aside, strict=True)
                    if out is side
                ]
                for side in (False, True)
            )
        ]
        train, test = parts
    whole = Found(train.paths + test.paths, train.labels + test.labels)
    names = [str(path.relative_to(root)) for path in whole.paths]
    decoded = decode_all(whole.paths, names, params.size, params.on_error, f"imagefolder {root}")
    border = len(train.paths)
    lost = sorted(set(classes) - {whole.labels[original] for original in decoded.kept if original < border})
    if lost:
        raise UserError(f"imagefolder: class {lost[0]!r} has no image to train on that can be read")

    def split(chosen: list[int], given: int) -> Split:
        place_of = {original: place for place, original in enumerate(decoded.kept)}
        places = [place_of[original] for original in chosen]
        return Split(
            decoded.images[places],
            torch.tensor([number[whole.labels[original]] for original in chosen], dtype=torch.int64),
            paths=[str(whole.paths[original]) for original in chosen],
            skipped=given - len(chosen),
        )

    return TwoSplits(
        split([original for original in decoded.kept if original < border], border),
        lambda: split([original for original in decoded.kept if original >= border], len(whole.paths) - border),
        classes,
    )


def fingerprint(params: ImageFolderParams) -> str:
    """Digest of names, sizes and times of change; no image is read."""
    root, train, test = find(params)
    digest = blake2b(digest_size=8)
    for path in train.paths + (test.paths if test else []):
        facts = path.stat()
        digest.update(
            f"{path.relative_to(root)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode("utf-8", "surrogateescape")
        )
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
