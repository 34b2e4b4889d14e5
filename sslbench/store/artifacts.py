"""Where weights, checkpoints and features of each pretraining lie."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class PretrainingFiles:
    """The files of one pretraining. Its folder is named by its key, so another key never finds them."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """Written during training, removed when it ends."""
        return self.folder / "checkpoint.safetensors"

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def features(self) -> Path:
        return self.folder / "features.safetensors"

    def per_image(self, cell: str) -> Path:
        """A cell's metrics on each test image, if its evaluator knows them."""
        return self.folder / "per_image" / f"{cell}.safetensors"

    @property
    def facts(self) -> Path:
        """What the training took; written last, so that its presence says the training is finished."""
        return self.folder / "pretraining.json"

    def read_facts(self) -> dict[str, Any] | None:
        """The facts of a finished training, or None where there is none or the file is damaged."""
        try:
            facts = json.loads(self.facts.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None

    def write_facts(self, facts: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.facts.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(facts, file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.facts)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def read_per_image(path: Path) -> dict[str, NDArray[Any]]:
    """Metric -> uint8 or float16 ``[N]``, one value for each test image, in order; empty where there is no such file
    or it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError):
        return {}


def pretraining_files(out: Path, key: str) -> PretrainingFiles:
    """The files of pretraining ``key`` below the results folder ``out``."""
    return PretrainingFiles(out / "artifacts" / key)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; what was written is on the disk and in the place of ``path`` at the end, or
    removed where that is not reached."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
