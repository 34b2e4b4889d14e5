"""MedMNIST, small medical images in one .npz file, and files of that layout: grey or RGB, 28 to 224 px."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslbench import BuildContext, DatasetSpec, Params, PathText, Split, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.folders import digest_of
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.datasets.medmnist.arrays import read_images, side_of
from sslbench_plugins.datasets.medmnist.known import NAMES, SIDES, class_names, finding_names, set_of
from sslbench_plugins.datasets.medmnist.npz import Npz

PARTS = ("train", "val", "test")
FETCHED_FROM = "https://zenodo.org/records/10519652"
OWN_FOLDER = "~/.medmnist"
"""where the package `medmnist` puts them"""


class MedmnistParams(Params):
    """Which file, what becomes of its validation images, and where its images lie."""

    path: PathText = param("", "an .npz file; empty: NAME.npz in `root`")
    name: str = param("", "a published set, such as pathmnist (28 px), pathmnist_64, pathmnist_128, pathmnist_224")
    root: PathText = param("", f"folder of NAME.npz; empty: $SSLBENCH_DATA, else {OWN_FOLDER}")
    validation: Literal["leave-out", "train", "test"] = param(
        "leave-out", "validation images: left out and counted; trained on, too; or evaluated on in place of the test's"
    )
    reading: Literal["auto", "resident", "mapped"] = param(
        "auto", "images lie in memory, or decompressed in a file of the cache; auto: in memory up to `memory_limit`"
    )
    memory_limit: float = param(4.0, "size of a split up to which `auto` is resident", ge=0, unit="GiB")


def file_of(params: MedmnistParams) -> Path:
    """The file that the user names. Raises UserError for none, for an unknown name, and for one that is not there."""
    if params.path and params.name:
        raise UserError("medmnist: path and name both say the file; give one of them")
    if params.path:
        return Path(os.path.expanduser(params.path))
    if not params.name:
        raise UserError(f"medmnist: give path=FILE.npz, or name=NAME of {', '.join(NAMES)}")
    sizes = ["", *(f"_{side}" for side in SIDES[1:])]
    if params.name not in [f"{name}{size}" for name in NAMES for size in sizes]:
        raise UserError(
            f"medmnist: name={params.name} is no published set of images; allowed: {', '.join(NAMES)}, and with"
            f" {', '.join(sizes[1:])} behind it"
        )
    root = Path(os.path.expanduser(params.root or os.environ.get("SSLBENCH_DATA") or OWN_FOLDER))
    file = root / f"{params.name}.npz"
    if not file.is_file():
        raise UserError(f"medmnist: {file.name} not found in {root}; fetch it from {FETCHED_FROM}, or give root=FOLDER")
    return file


def labels_of(npz: Npz, part: str) -> NDArray[np.int64]:
    """int64 ``[N, L]``: L labels of each image. Raises UserError for what are no labels of the images."""
    name = f"{part}_labels"
    side_of(npz, f"{part}_images")
    values, images = npz.array(name), npz.header(f"{part}_images").shape[:1]
    where = f"medmnist: {npz.file}: {name}"
    if values.ndim not in (1, 2) or values.shape[1:] == (0,) or values.dtype.kind not in "iub":
        held = " x ".join(map(str, values.shape))
        raise UserError(f"{where} is {held} of {values.dtype}; a whole number for each image, or several, are read")
    if values.shape[:1] != images:
        raise UserError(f"{where} has {len(values):,} labels for {images[0]:,} images")
    if values.size and (low := int(values.min())) < 0:
        raise UserError(f"{where} holds {low}; classes are numbered from 0")
    return values.reshape(len(values), -1).astype(np.int64)


def several_labels(npz: Npz) -> bool:
    """Whether each image has several labels."""
    shape = npz.header("train_labels").shape
    return len(shape) > 1 and shape[1] > 1


def names_of(npz: Npz, train: NDArray[np.int64], test: NDArray[np.int64]) -> list[str]:
    """Of the classes, or of the columns of several labels. Raises UserError for labels that do not fit together."""
    where, several = f"medmnist: {npz.file}", several_labels(npz)
    if not several:
        count = int(train.max(initial=-1)) + 1
        names = class_names(npz.file.stem, count)
        stray = set(test.flatten().tolist()) - set(train.flatten().tolist())
        if stray:
            number = min(stray)
            name = names[number] if number < len(names) else str(number)
            raise UserError(f"{where}: has class {name!r} in the images to evaluate on alone")
        return names
    high = max(int(values.max(initial=0)) for values in (train, test))
    if high > 1:
        raise UserError(f"{where}: images have {train.shape[1]} labels each, up to {high}; several are 0 or 1 each")
    return finding_names(npz.file.stem, train.shape[1])


@dataclass(frozen=True)
class Parts:
    """Parts of the file that are one split."""

    npz: Npz
    names: tuple[str, ...]
    """of ``train``, ``val``, ``test``"""

    def labels(self) -> NDArray[np.int64]:
        """int64 ``[N, L]``. Raises UserError where parts have different numbers of labels for an image."""
        parts = [labels_of(self.npz, part) for part in self.names]
        if len({part.shape[1] for part in parts}) > 1:
            raise UserError(f"medmnist: {self.npz.file}: its parts have different numbers of labels for an image")
        return np.concatenate(parts)

    def split(self, params: MedmnistParams, labels: NDArray[np.int64], names: Sequence[str]) -> tuple[Split, Tensor]:
        """With its labels, or several of them as factors, and the ``channel_sums`` of its images."""
        arrays = [f"{part}_images" for part in self.names]
        read = read_images(self.npz, arrays, params.reading, params.memory_limit)
        split = Split(read.images, digests=read.digests, sides=(read.side, read.side))
        columns = [torch.from_numpy(column.copy()) for column in labels.T]
        if several_labels(self.npz):
            return replace(split, factors=dict(zip(names, columns, strict=False))), read.sums
        return replace(split, labels=columns[0]), read.sums


def build(params: MedmnistParams, context: BuildContext) -> TwoSplits:
    """The file's own splits; several labels an image are factors, and then there are no classes."""
    npz = Npz(file_of(params))
    train = Parts(npz, ("train", "val") if params.validation == "train" else ("train",))
    test = Parts(npz, ("val",) if params.validation == "test" else ("test",))
    train_labels, test_labels = train.labels(), test.labels()
    if train_labels.shape[1] != test_labels.shape[1]:
        raise UserError(f"medmnist: {npz.file}: its parts have different numbers of labels for an image")
    names = names_of(npz, train_labels, test_labels)
    split, sums = train.split(params, train_labels, names)
    others = [part for part in PARTS if part not in (*train.names, *test.names) and f"{part}_images" in npz]
    left_out = {f"split {part}, not used": sum(npz.header(f"{part}_images").shape[:1]) for part in others}

    def evaluated() -> Split:
        part = test.split(params, test_labels, names)[0]
        if part.sides != split.sides:
            raise UserError(f"medmnist: {npz.file}: images of {' and '.join(PARTS)} are of different sizes")
        return part

    classes = [] if several_labels(npz) else names
    return TwoSplits(replace(split, left_out=left_out), evaluated, classes, sums)


def fingerprint(params: MedmnistParams) -> str:
    """Digest of names, lengths and checksums of the arrays, as the archive has them; no image is read."""
    file = file_of(params)
    # The name says which classes the numbers stand for.
    return digest_of([set_of(file.stem), *Npz(file).stamps()])


def provides(params: MedmnistParams) -> frozenset[str]:
    """Labels, or factors where each image has several labels."""
    return frozenset({"factors"} if several_labels(Npz(file_of(params))) else {"labels"})


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="medmnist",
            params=MedmnistParams,
            build=build,
            fingerprint=fingerprint,
            provides=provides,
            citation="Yang et al.: MedMNIST v2, Scientific Data 10, 2023",
        )
    ]
