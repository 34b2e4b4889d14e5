"""Copies the files of pretrainings from folder to folder. Each is checked against its digest; what is damaged stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sslbench.errors import StoreError
from sslbench.store.artifacts import PretrainingFiles, pretraining_files
from sslbench.store.atomic import replaced
from sslbench.store.digests import DamagedFile, check_digest
from sslbench.store.pictures import INDEX, OF_PRETRAINING, read_pictures, write_pictures

SUFFIXES = (".json", ".safetensors")


@dataclass
class Files:
    """The files of one pretraining in one folder, but those of its cells."""

    of: PretrainingFiles
    damaged: list[str] = field(default_factory=list)
    """a line for each that cannot be used, once ``digests`` is known"""

    @cached_property
    def digests(self) -> dict[str, str]:
        """Name -> digest of each file that is as it was written."""
        found = {}
        for path in files_in(self.of.folder):
            if digest := checked(path, self.damaged):
                found[path.name] = digest
        return found

    @property
    def training(self) -> str | None:
        """Digest of what the training took, which tells trainings apart; None where none has ended."""
        return self.digests.get(self.of.facts.name)


@dataclass
class FilesCopier:
    """Copies what pretrainings left below one folder."""

    out: Path
    damaged: list[str] = field(default_factory=list)
    """a line for each file that was left out"""
    copied: int = 0
    """files"""

    def copy_training(self, key: str, homes: Sequence[Path], others: Sequence[Path]) -> bool:
        """Take the files of a pretraining: those of the training in ``homes``, else in ``others``, each from a folder
        that has it whole. Returns whether there are several trainings. Raises StoreError where ``out`` cannot be
        written."""
        near, far = ([Files(pretraining_files(folder, key)) for folder in folders] for folders in (homes, others))
        trainings = [sorted({files.training for files in found if files.training}) for found in (near, far)]
        own = next((digests[0] for digests in trainings if digests), None)
        self.damaged += [line for files in (*near, *far) for line in files.damaged]
        sources: dict[str, tuple[str, Path]] = {}  # of several of one name the same one, in whatever order they come
        for files in (*near, *far):
            for name, digest in files.digests.items() if files.training == own else ():
                source = (digest, files.of.folder / name)
                sources[name] = min(source, sources.get(name, source))
        self._replace(Files(pretraining_files(self.out, key)), sources, own)
        whole = [files.of for files in (*near, *far) if files.training == own]
        self._copy_set(key, OF_PRETRAINING, [files.pictures(OF_PRETRAINING) for files in whole])
        return len({digest for digests in trainings for digest in digests}) > 1

    def _replace(self, old: Files, sources: Mapping[str, tuple[str, Path]], training: str | None) -> None:
        """Put the files in the place of the old ones. What says that a training has ended goes first and comes last."""
        there, facts = dict(old.digests), old.of.facts
        if training and old.training != training:
            there.clear()
            for path in (facts, *files_in(old.of.folder)):
                path.unlink(missing_ok=True)
        for name, (digest, source) in sorted(sources.items(), key=lambda item: item[0] == facts.name):
            if there.get(name) != digest and not (training and name == old.of.checkpoint.name):
                self._copy(source, old.of.folder / name, digest)

    def copy_of_cell(self, key: str, cell: str, folders: Iterable[Path]) -> None:
        """Take the metrics of each image and the pictures of a cell from one of the folders, which all have its record,
        that has them whole. Raises StoreError where ``out`` cannot be written."""
        found = [pretraining_files(folder, key) for folder in folders]
        self._copy_per_image(
            pretraining_files(self.out, key).per_image(cell), [files.per_image(cell) for files in found]
        )
        self._copy_set(key, cell, [files.pictures(cell) for files in found])

    def _copy_per_image(self, target: Path, paths: Iterable[Path]) -> None:
        found = {path: digest for path in paths if (digest := checked(path, self.damaged))}
        if not found:
            return target.unlink(missing_ok=True)  # of another record of this cell
        digest = min(found.values())
        if found.get(target) != digest:
            self._copy(next(path for path, own in found.items() if own == digest), target, digest)
        return None

    def _copy_set(self, key: str, owner: str, folders: Iterable[Path]) -> None:
        """Take all pictures of a cell or a pretraining from one of the folders, or none."""
        files = pretraining_files(self.out, key)
        found = {folder: digest for folder in folders if (digest := checked_pictures(folder, self.damaged))}
        digest = min(found.values(), default=None)
        if digest is not None and found.get(files.pictures(owner)) == digest:
            return
        try:
            pictures = next((read_pictures(folder) for folder, own in found.items() if own == digest), [])
            write_pictures(files, owner, pictures)
        except DamagedFile as error:
            self.damaged.append(str(error))
        except OSError as error:
            raise StoreError(f"{files.pictures(owner)}: cannot be written: {error.strerror or error}") from error
        else:
            self.copied += len(pictures) + bool(pictures)

    def _copy(self, source: Path, target: Path, digest: str) -> None:
        try:
            with replaced(target) as partial:
                shutil.copyfile(source, partial)
                if check_digest(partial) != digest:
                    raise DamagedFile("changed")
        except (FileNotFoundError, DamagedFile):
            self.damaged.append(f"{source}: changed while it was copied")
        except OSError as error:
            raise StoreError(f"{target}: cannot be copied from {source}: {error.strerror or error}") from error
        else:
            self.copied += 1


def artifacts_of(folder: Path) -> Path:
    """Where a results folder has the files of its pretrainings."""
    return pretraining_files(folder, "").folder


def keys_in(folder: Path) -> Iterator[str]:
    """Pretrainings that left files in a results folder."""
    root = artifacts_of(folder)
    if root.is_dir():
        yield from sorted(item.name for item in root.iterdir() if item.is_dir())


def files_in(folder: Path) -> list[Path]:
    """What carries a digest in a pretraining's folder, but files of its cells."""
    if not folder.is_dir():
        return []
    return sorted(item for item in folder.iterdir() if item.suffix in SUFFIXES and not item.name.startswith("."))


def checked_pictures(folder: Path, damaged: list[str]) -> str | None:
    """Digest that tells sets of pictures apart, of one that is whole; None for another, as ``checked``."""
    try:
        return check_digest(folder / INDEX) if read_pictures(folder) else None
    except DamagedFile as error:
        damaged.append(str(error))
    except OSError as error:
        damaged.append(f"{folder / INDEX}: cannot be read: {error.strerror or error}")
    return None


def checked(path: Path, damaged: list[str]) -> str | None:
    """Digest of a file that is as it was written; None for another, which has a line in ``damaged`` if it is there."""
    try:
        return check_digest(path)
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        damaged.append(str(error))
    except OSError as error:
        damaged.append(f"{path}: cannot be read: {error.strerror or error}")
    return None
