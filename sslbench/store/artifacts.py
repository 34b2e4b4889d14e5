"""Where weights, checkpoints and features of each pretraining lie."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslbench.store.atomic import write_atomically
from sslbench.store.json_parts import DamagedRecord, canonical
from sslbench.store.record import DataFacts, TrainingFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PretrainingFiles:
    """The files of one pretraining. Its folder is named by its key, so another key never finds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = folder / "checkpoint.safetensors"
        """written during training, removed when it ends"""
        self.weights = folder / "weights.safetensors"
        self.features = folder / "features.safetensors"
        self.facts = folder / "pretraining.json"
        """what the training took; written last, so that its presence says the training is finished"""

        self.data = folder / "data.json"
        """what there was to train and to evaluate on"""

    def per_image(self, cell: str) -> Path:
        """A cell's metrics on each test image, if its evaluator knows them."""
        return self.folder / "per_image" / f"{cell}.safetensors"

    def read_facts(self) -> TrainingFacts | None:
        """The facts of a finished training, or None where there is none or the file is damaged."""
        try:
            return TrainingFacts.from_json(json.loads(self.facts.read_text(encoding="utf-8")), str(self.facts))
        except (OSError, ValueError, DamagedRecord):
            return None

    def write_facts(self, facts: TrainingFacts) -> None:
        """Say that the training is finished. Raises OSError."""
        write_atomically(self.facts, canonical(facts.to_json()).encode())

    def read_data(self) -> DataFacts | None:
        """What the pretraining looked at, or None where nobody kept it or the file is damaged."""
        try:
            return DataFacts.from_json(json.loads(self.data.read_text(encoding="utf-8")), str(self.data))
        except (OSError, ValueError, DamagedRecord):
            return None

    def write_data(self, data: DataFacts) -> None:
        """Keep what the pretraining looked at. Raises OSError."""
        write_atomically(self.data, canonical(data.to_json()).encode())

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
