"""Where weights, checkpoints and features of each pretraining lie."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslbench.store.atomic import write_atomically
from sslbench.store.json_parts import DamagedRecord, canonical
from sslbench.store.record import TrainingFacts

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
        """Of the trained method."""
        return self.folder / "weights.safetensors"

    @property
    def features(self) -> Path:
        """Of the data set's images, frozen."""
        return self.folder / "features.safetensors"

    def per_image(self, cell: str) -> Path:
        """A cell's metrics on each test image, if its evaluator knows them."""
        return self.folder / "per_image" / f"{cell}.safetensors"

    @property
    def facts(self) -> Path:
        """What the training took; written last, so that its presence says the training is finished."""
        return self.folder / "pretraining.json"

    def read_facts(self) -> TrainingFacts | None:
        """The facts of a finished training, or None where there is none or the file is damaged."""
        try:
            return TrainingFacts.from_json(json.loads(self.facts.read_text(encoding="utf-8")), str(self.facts))
        except (OSError, ValueError, DamagedRecord):
            return None

    def write_facts(self, facts: TrainingFacts) -> None:
        """Say that the training is finished. Raises OSError."""
        write_atomically(self.facts, canonical(facts.to_json()).encode())

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def read_per_image(path: Path) -> dict[str, NDArray[Any]]:
    """Metric -> uint8 or float16 ``[N]``, one value for each test image; empty without the file or of a damaged one."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError):
        return {}


def pretraining_files(out: Path, key: str) -> PretrainingFiles:
    """The files of pretraining ``key`` below the results folder ``out``."""
    return PretrainingFiles(out / "artifacts" / key)
