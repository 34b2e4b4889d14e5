"""Where weights, checkpoints and features of each pretraining lie."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sslbench.store.digests import DamagedFile, check_digest, read_json, write_json
from sslbench.store.json_parts import DamagedRecord, Part, plain
from sslbench.store.record import DataFacts, TrainingFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

P = TypeVar("P", bound=Part)


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

    def pictures(self, owner: str) -> Path:
        """Folder of the pictures of a cell, or of the pretraining itself (see ``store.pictures``)."""
        return self.folder / "pictures" / owner

    def read_facts(self) -> TrainingFacts | None:
        """The facts of a finished training, or None where there is none. Raises DamagedFile, OSError."""
        return read_part(TrainingFacts, self.facts)

    def write_facts(self, facts: TrainingFacts) -> None:
        """Say that the training is finished. Raises OSError."""
        write_json(self.facts, plain(facts.to_json(), ""))

    def read_data(self) -> DataFacts | None:
        """What the pretraining looked at, or None where nobody kept it. Raises DamagedFile, OSError."""
        return read_part(DataFacts, self.data)

    def write_data(self, data: DataFacts) -> None:
        """Keep what the pretraining looked at. Raises OSError."""
        write_json(self.data, plain(data.to_json(), ""))

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def read_part(cls: type[P], path: Path) -> P | None:
    """What a file of JSON holds, None where there is none. Raises DamagedFile, OSError."""
    try:
        return cls.from_json(read_json(path), str(path))
    except FileNotFoundError:
        return None
    except DamagedRecord as error:
        raise DamagedFile(str(error)) from None


def read_per_image(path: Path) -> dict[str, NDArray[Any]]:
    """Metric -> uint8 or float16 ``[N]``, one value for each test image; empty without the file. Raises DamagedFile."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        check_digest(path)
        return dict(load_file(path))
    except FileNotFoundError:
        return {}
    except (OSError, SafetensorError) as error:
        raise DamagedFile(f"{path}: cannot be read: {error}") from None


def pretraining_files(out: Path, key: str) -> PretrainingFiles:
    """The files of pretraining ``key`` below the results folder ``out``."""
    return PretrainingFiles(out / "artifacts" / key)
