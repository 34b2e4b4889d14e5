"""Which files of a folder are of which split, by the names of files and folders: shards of tables and of tars."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.folders import count_others, not_read, shortened, walk
from sslbench_plugins.blocks.images_on_disk.splits import TEST_ROLES, Role, resembled, role_of, unknown_split

SHARD = re.compile(r"[-_. ]?\d+([-_ ]?of[-_ ]?\d+)?(-[0-9a-f]{8,})?$")
"""``-00000-of-00002`` at the end of a name"""


@dataclass(frozen=True)
class SplitFiles:
    """Files by their split."""

    root: Path | None
    """the folder, None for a file alone"""
    train: list[Path]
    tests: Mapping[Role, list[Path]]
    """that may be evaluated on, the first choice first"""
    others: list[Path]
    """of no split"""
    ending: str
    """of all their names"""
    named: bool = False
    """whether the user named each: what else is there was not meant"""

    @property
    def used(self) -> list[Path]:
        """Training files, and all that may be evaluated on."""
        return self.train + [file for files in self.tests.values() for file in files]

    def name(self, file: Path) -> str:
        """Below the root."""
        return file.relative_to(self.root).as_posix() if self.root else file.name

    def not_looked_at(self) -> dict[str, int]:
        """Why -> files below the root that have another ending."""
        if self.root is None or self.named:
            return {}
        return count_others(self.root, [*self.used, *self.others], not_read)


def split_files(path: Path, dataset: str, ending: str, what: str) -> SplitFiles:
    """Of a file, or of everything below a folder with that ending; ``what``: one of them, in words. Raises UserError
    where there are none, or several data sets, and for a name that looks like a split and is none."""
    if os.path.isfile(path):
        return SplitFiles(None, [path], {}, [], ending)
    if not os.path.isdir(path):
        raise UserError(f"{dataset}: path={shortened(str(path))} does not exist; expected {what} or a folder of them")
    files = [file for file in walk(path) if file.suffix.lower() == ending]
    if not files:
        raise UserError(f"{dataset}: no *{ending} file in {path}")
    return by_split(path, files, dataset, ending)


def by_split(path: Path, files: Sequence[Path], dataset: str, ending: str) -> SplitFiles:
    """Files below a folder by their split."""
    roles = {file: split_of(file.relative_to(path), dataset) for file in files}
    train, *tests = ([file for file in files if roles[file] == role] for role in ("train", *TEST_ROLES))
    others = [file for file in files if roles[file] is None]
    meant = {file.name: resembled(without_shard(file)) for file in others}
    near = [name for name, role in meant.items() if role]
    if near and (len(others) < len(files) or ("train" in meant.values() and len(set(meant.values()) - {None}) > 1)):
        raise unknown_split(f"{dataset}: {path}", near)
    if not train and not others:
        only = next(filter(None, tests))[0].name
        raise UserError(f"{dataset}: only {only} in {path}; files to train on are named train-*{ending}")
    check_one_data_set(path, [file for file in files if roles[file] is not None], dataset)
    chosen = {role: part for role, part in zip(TEST_ROLES, tests, strict=True) if part}
    return SplitFiles(path, train or others, chosen, others if train else [], ending)


def split_of(name: Path, dataset: str) -> Role | None:
    """``train-00000-of-00002.parquet``, ``photos_train.parquet`` and ``train/0000.parquet`` are of ``train``. Raises
    UserError for a name of two splits. ``name``: below the root."""
    whole = role_of(without_shard(name))
    words = re.split(r"[-_. ]+", without_shard(name))
    found = {whole} if whole else {role_of(word) for word in words}
    found |= {role_of(folder) for folder in name.parts[:-1]}
    roles = sorted(role for role in found if role is not None)
    if len(roles) > 1:
        raise UserError(
            f"{dataset}: {name} has the names of the splits {' and '.join(roles)}; rename it to one of them"
        )
    return roles[0] if roles else None


def without_shard(file: Path) -> str:
    """Name without ending and number."""
    return SHARD.sub("", file.stem)


def check_one_data_set(path: Path, files: Sequence[Path], dataset: str) -> None:
    """Raises UserError for splits of several data sets: a data set lies above the folders of its splits."""
    folders = (file.relative_to(path).parts[:-1] for file in files)
    roots = Counter("/".join(part for part in parts if role_of(part) is None) or "." for parts in folders)
    if len(roots) > 1:
        names = ", ".join(sorted(roots))
        raise UserError(f"{dataset}: {path} holds several data sets: {names}; give the path of one of them")
