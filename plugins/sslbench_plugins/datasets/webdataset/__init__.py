"""Images in tars, as the library `webdataset` lays them out, read at any place of a tar and never unpacked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sslbench import BuildContext, DatasetSpec, PathText, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.file_labels import FileLabels, cleaned
from sslbench_plugins.blocks.images_on_disk.file_parts import FilePart
from sslbench_plugins.blocks.images_on_disk.folders import digest_of, list_error, stamps
from sslbench_plugins.blocks.images_on_disk.reading import GIB, ReadingParams
from sslbench_plugins.blocks.images_on_disk.rows import RowReading, Rows, numbered, split_rows
from sslbench_plugins.blocks.images_on_disk.split_files import SplitFiles
from sslbench_plugins.blocks.images_on_disk.splits import Role
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.blocks.images_on_disk.unlabelled import UNLABELLED, is_minus_one, is_unlabelled
from sslbench_plugins.datasets.webdataset.kept import tar_indices
from sslbench_plugins.datasets.webdataset.shards import shards
from sslbench_plugins.datasets.webdataset.tar_index import (
    BAD_LABEL,
    DAMAGED,
    NO_LABEL,
    TWICE,
    TarIndex,
    TarReader,
)

HEAD = 64
"""samples that tell whether there are labels"""
MISTAKES = (DAMAGED, TWICE, BAD_LABEL)
"""that end a run unless ``on_error`` is ``skip``"""


class WebdatasetParams(ReadingParams):
    """Which tars, which of their members, and how the images are read."""

    path: PathText = param(..., "a folder of tars, one, or several: DIR/train-{0000..0146}.tar", min_length=1)
    image: str = param("", "ending of the images, such as jpg; empty: the one image of each sample")
    label: str = param("", "ending of the labels, such as cls, or json.KEY; none: no labels; empty: cls, else json's")
    classes: PathText = param("", "a text file with a line for each class, the names of the labels 0, 1, ...")
    reading: Literal["auto", "resident", "mapped", "streaming"] = param(
        "auto", "decoded images lie in memory, in a mapped file of the cache, or nowhere; auto: in memory, else nowhere"
    )
    memory_limit: float = param(4.0, "size of all decoded images up to which `auto` is resident", ge=0, unit="GiB")
    size: int = param(64, "side to which images are resized and centre-cropped; 0: as they are", ge=0, unit="px")
    test_share: float = param(0.2, "part of each class to evaluate on, where no tar is of a test split", gt=0, lt=1)


@dataclass(frozen=True)
class Shards:
    """Tars of one split, and what is in them."""

    files: Sequence[Path]
    indices: Sequence[TarIndex]

    def images(self) -> list[FilePart]:
        """Where each is."""
        return [
            FilePart(file, start, size)
            for file, index in zip(self.files, self.indices, strict=True)
            for start, size in zip(index.starts, index.sizes, strict=True)
        ]

    def titles(self, tars: SplitFiles) -> list[str]:
        """Tar and member."""
        pairs = zip(self.files, self.indices, strict=True)
        return [f"{tars.name(file)}/{name}" for file, index in pairs for name in index.names]

    def labels(self, params: WebdatasetParams, names: list[str] | None) -> list[FileLabels]:
        """Of each tar. Raises UserError for words that are none of the ``names`` of classes."""
        parts = []
        for file, index in zip(self.files, self.indices, strict=True):
            where = f"webdataset: {file.name}: {' and '.join(index.label_members)}"
            values = cleaned(index.labels, where)
            strange = next(
                (value for value in values if isinstance(value, str) and value not in (names or [value])), None
            )
            if strange is not None:
                raise UserError(f"{where} holds {strange!r}, which is no class of {params.classes}")
            minus_ones = tuple({value for value in index.labels if is_minus_one(value)})
            parts.append(FileLabels(file.name, values, names, minus_ones, "webdataset"))
        return parts

    @property
    def labelled(self) -> bool:
        """Whether any has a label."""
        return any(not is_unlabelled(label) for index in self.indices for label in index.labels)

    def __len__(self) -> int:
        """Number of images."""
        return sum(len(index.names) for index in self.indices)


def class_names(params: WebdatasetParams) -> list[str] | None:
    """Of the labels 0, 1, ..., where the user gives them. Raises UserError for a file that cannot be read."""
    if not params.classes:
        return None
    try:
        text = Path(os.path.expanduser(params.classes)).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UserError(f"webdataset: classes={params.classes} cannot be read: {reason}") from None
    names = [line.strip() for line in text.rstrip().splitlines()]
    if not all(names):
        raise UserError(
            f"webdataset: classes={params.classes}: line {names.index('') + 1} is empty; each names a class"
        )
    return names


@dataclass(frozen=True)
class Contents:
    """What is in the tars of a data set."""

    tars: SplitFiles
    parts: Mapping[Role, Shards]
    with_labels: bool

    @property
    def used(self) -> Role | None:
        """The split that is evaluated on: the first with any label, where there are labels."""
        return next((role for role in self.tars.tests if self.parts[role].labelled or not self.with_labels), None)

    @property
    def both(self) -> tuple[Shards, Shards]:
        """To train and to evaluate on; the second empty where the tars have no split for it."""
        return self.parts["train"], self.parts[self.used] if self.used else Shards([], [])

    @property
    def indices(self) -> list[TarIndex]:
        """Of the tars that are read."""
        return [index for part in self.both for index in part.indices]

    def rows(self, params: WebdatasetParams, where: str) -> Rows:
        """All samples with an image. Raises UserError for labels that do not fit together."""
        train, test = self.both
        labels, classes = [0] * (len(train) + len(test)), list[str]()
        if self.with_labels:
            names = class_names(params)
            labels, classes = numbered(train.labels(params, names), test.labels(params, names), where)
        images, titles = [*train.images(), *test.images()], [*train.titles(self.tars), *test.titles(self.tars)]
        names_of_members = [name for index in self.indices for name in index.names]
        return Rows(images, labels, titles, len(train), classes, names_of_members, are_paths=True)

    def problems(self, params: WebdatasetParams, where: str) -> list[str]:
        """The mistakes in the tars that are read, one line each. Raises UserError unless they are to be skipped."""
        lines = [line for index in self.indices for line in index.problems]
        if lines and params.on_error == "error":
            count = sum(index.counts.get(why, 0) for index in self.indices for why in MISTAKES)
            problem = f"mistakes in its tars ({count}); on_error=skip takes what can be read"
            raise list_error(where, problem, lines)
        return lines

    def left_out(self) -> Counter[str]:
        """Why -> members, samples and tars that are of no split, but for samples without a label."""
        counts = Counter(self.tars.not_looked_at())
        for index in self.indices:
            counts.update(index.counts)
        # Splits are tried in order: those before the one that is used have no label.
        why = "without labels"
        for role in self.tars.tests:
            if role == self.used:
                why = "not used"
            else:
                counts[f"split {role}, {why}"] += len(self.parts[role])
        counts["tars of no split"] += len(self.tars.others)
        return +counts


def build(params: WebdatasetParams, context: BuildContext) -> TwoSplits:
    """The tars' own splits, or a fixed share of each class, by a hash of the member's name, as the test split."""
    tars, where = shards(params.path), f"webdataset {params.path}"
    # Taken before the tars are read, so that a change while they are makes another key next time.
    key = [str(file.resolve()) for file in tars.used] + tar_stamps(tars)
    indices = dict(zip(tars.used, tar_indices(tars.used, params.image, params.label), strict=True))
    by_role: dict[Role, list[Path]] = {"train": tars.train, **tars.tests}
    parts = {role: Shards(files, [indices[file] for file in files]) for role, files in by_role.items()}
    contents = Contents(tars, parts, "labels" in provides(params))
    check_labels(list(parts.values()), contents.with_labels, where)
    problems, rows = contents.problems(params, where), contents.rows(params, where)
    left_out = contents.left_out() + Counter({UNLABELLED: sum(label < 0 for label in rows.labels)})
    how = RowReading(placed(params, len(rows.labels)), params.size or None, params.test_share, where, key)
    data = split_rows(rows, how, contents.used is not None, left_out)
    return replace(data, train=replace(data.train, unreadable=[*problems, *data.train.unreadable]))


def check_labels(parts: Sequence[Shards], with_labels: bool, where: str) -> None:
    """Raises UserError for labels in several places, for those that the first samples lack, and where there is no
    image."""
    if not any(map(len, parts)):
        raise UserError(f"{where}: no sample has an image; image=ENDING names that of the images")
    places = sorted({place for part in parts for index in part.indices for place in index.label_members})
    if len(places) > 1:
        raise UserError(f"{where}: labels are in {' and '.join(places)}; label=NAME says which are meant")
    if not with_labels and any(part.labelled for part in parts):
        raise UserError(f"{where}: the first {HEAD} samples have no label and others do; label={places[0]} reads them")


def placed(params: WebdatasetParams, images: int) -> WebdatasetParams:
    """`auto` never makes a file of decoded images: who has tars has them since they fit nowhere else."""
    if params.reading != "auto" or params.decode == "gpu":
        return params
    fits = params.size and 3 * params.size**2 * images <= params.memory_limit * GIB
    return params.model_copy(update={"reading": "resident" if fits else "streaming"})


def provides(params: WebdatasetParams) -> frozenset[str]:
    """Labels, where any of the first samples has one."""
    if params.label == NO_LABEL:
        return frozenset()
    first = TarReader(shards(params.path).train[0], params.image, params.label).read(HEAD)
    return frozenset({"labels"} if first.label_members else ())


def tar_stamps(tars: SplitFiles) -> list[str]:
    """Name, size and time of change of each tar."""
    return stamps(tars.used, tars.root or tars.used[0].parent)


def fingerprint(params: WebdatasetParams) -> str:
    """Digest of names, sizes and times of change of the tars, and of the names of the classes; no image is read."""
    return digest_of([*tar_stamps(shards(params.path)), *(class_names(params) or [])])


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(name="webdataset", params=WebdatasetParams, build=build, fingerprint=fingerprint, provides=provides)
    ]
