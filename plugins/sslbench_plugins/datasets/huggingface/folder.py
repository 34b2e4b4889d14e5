"""Folders that Hugging Face's ``datasets`` writes: which arrow files hold which split."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.folders import count_others, digest_of, not_read, shortened, stamps, walk
from sslbench_plugins.blocks.images_on_disk.split_files import by_split

DICT, STATE, INFO = "dataset_dict.json", "state.json", "dataset_info.json"
ENDING = ".arrow"
KEPT_BY_MAP = "cache-"
"""what names begin with of files that ``map`` and ``filter`` leave beside those of the data set"""
EXPECTED = "expected what `save_to_disk` writes, or arrow files"


@dataclass(frozen=True)
class SavedFolder:
    """What lies there."""

    root: Path
    splits: Mapping[str, list[Path]]
    """split -> its arrow files, in the order of their rows"""
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """split -> what the columns hold"""
    described_by: tuple[Path, ...] = ()
    """files that say so"""

    @property
    def files(self) -> list[Path]:
        """Of all splits."""
        return [file for files in self.splits.values() for file in files]

    def name(self, file: Path) -> str:
        """Below the root."""
        return file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else file.name

    def not_looked_at(self) -> dict[str, int]:
        """Why -> files below the root that are of no split."""
        return count_others(self.root, [*self.files, *self.described_by], not_read)

    def stamps(self) -> list[str]:
        """Name, size and time of change of each arrow file, and a digest of what describes them."""
        texts = [file.read_bytes().decode("utf-8", "surrogateescape") for file in self.described_by]
        return [*stamps(self.files, self.root), digest_of(texts)]


def saved_folder(path: Path) -> SavedFolder:
    """Of ``DatasetDict.save_to_disk`` or ``Dataset.save_to_disk``; else arrow files, split by their names as in the
    cache of ``load_dataset``. Raises UserError for anything else, and where a part is missing."""
    if os.path.isfile(path):
        return SavedFolder(path.parent, {path.stem: [path]})
    if not os.path.isdir(path):
        raise UserError(f"hf-disk: path={shortened(str(path))} does not exist; {EXPECTED}")
    if (path / DICT).is_file():
        return saved_dict(path)
    if (path / STATE).is_file():
        return saved_splits(path, {split_in(path): path})
    return arrow_files(path)


def saved_dict(path: Path) -> SavedFolder:
    """Of ``DatasetDict.save_to_disk``."""
    names = known(path / DICT).get("splits")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
        raise UserError(f"hf-disk: {path / DICT} names no split")
    missing = [name for name in names if not (path / name / STATE).is_file()]
    if missing:
        raise UserError(f"hf-disk: {path / missing[0] / STATE} is missing, and {DICT} names the split {missing[0]!r}")
    folder = saved_splits(path, {name: path / name for name in names})
    return SavedFolder(path, folder.splits, folder.features, (path / DICT, *folder.described_by))


def saved_splits(root: Path, folders: Mapping[str, Path]) -> SavedFolder:
    """Of ``Dataset.save_to_disk``, one folder a split."""
    described = [folder / name for folder in folders.values() for name in (STATE, INFO)]
    return SavedFolder(
        root,
        {name: data_files(folder) for name, folder in folders.items()},
        {name: features_of(folder) for name, folder in folders.items()},
        tuple(file for file in described if file.is_file()),
    )


def data_files(folder: Path) -> list[Path]:
    """The arrow files that the state names. Raises UserError where it names none, or one that is not there."""
    state = known(folder / STATE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        old = "was saved with a choice of rows by an old `datasets`; load it and save it anew"
        raise UserError(f"hf-disk: {folder} {old}")
    try:
        files = [folder / entry["filename"] for entry in state["_data_files"]]
    except (KeyError, TypeError):
        files = []
    if not files:
        raise UserError(f"hf-disk: {folder / STATE} names no arrow file")
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise UserError(
            f"hf-disk: {missing[0]} is missing in {folder} ({len(missing)} of {len(files)} files that {STATE} names)"
        )
    return files


def split_in(folder: Path) -> str:
    """The name of the only split."""
    name = known(folder / STATE).get("_split")
    return name if isinstance(name, str) and name else "all"


def features_of(folder: Path) -> Mapping[str, Any]:
    """What the columns hold, by name; empty where it is not said."""
    features = known(folder / INFO).get("features") if (folder / INFO).is_file() else None
    return features if isinstance(features, dict) else {}


def known(file: Path) -> Mapping[str, Any]:
    """What a JSON file holds. Raises UserError where it cannot be read."""
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise UserError(f"hf-disk: {file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError(f"hf-disk: {file} is damaged: it is no JSON") from None
    if not isinstance(value, dict):
        raise UserError(f"hf-disk: {file} is damaged: it holds no names and values")
    return value


def arrow_files(path: Path) -> SavedFolder:
    """Arrow files of any folder, without what ``map`` keeps beside them."""
    below = walk(path)
    files = [file for file in below if file.suffix.lower() == ENDING and not file.name.startswith(KEPT_BY_MAP)]
    saved = next((file.parent for file in below if file.name in (DICT, STATE)), None)
    if saved is not None:
        raise UserError(f"hf-disk: {path} has no {DICT} or {STATE}, and {saved} has; give path={saved}")
    if not files:
        hint = f"; parquet:path={path} reads its parquet files" if any(f.suffix == ".parquet" for f in below) else ""
        raise UserError(f"hf-disk: {path} has no {DICT}, {STATE} or *{ENDING} file; {EXPECTED}{hint}")
    found = by_split(path, files, "hf-disk", ENDING)
    splits = {"train": found.train, **dict[str, list[Path]](found.tests.items()), "of no split": found.others}
    described = (path / INFO,) if (path / INFO).is_file() else ()
    return SavedFolder(path, {name: part for name, part in splits.items() if part}, described_by=described)
