"""What a pretraining left on disk: weights, facts and features, used again where they are still right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from sslbench.contracts.executor import Work
from sslbench.contracts.method import InputSpec, Method
from sslbench.evaluate.features import Extraction, StaleFeatures, load_extraction, save_extraction
from sslbench.store.artifacts import PretrainingFiles, pretraining_files
from sslbench.store.digests import DamagedFile
from sslbench.store.record import DataFacts, TrainingFacts
from sslbench.train.checkpoint import fits, load_tensors, save_tensors, tensors_digest, weights_digest
from sslbench.train.ranks import rank


@dataclass(frozen=True)
class ArtifactCache:
    """Weights, facts and features of a pretraining on disk; one that cannot be written costs the next run time."""

    work: Work
    warn: Callable[[str], None]

    @property
    def files(self) -> PretrainingFiles:
        """Where they lie."""
        return pretraining_files(Path(self.work.out), self.work.key)

    def facts(self) -> TrainingFacts | None:
        """Of this pretraining, if it has ended and has the curve that the work asks for; damage is named in a warning,
        also that of its weights."""
        curve = self.work.curve
        try:
            facts = self.files.read_facts()
            if facts is not None and facts.key != self.work.key:
                raise DamagedFile(f"{self.files.facts}: of pretraining {facts.key}, not {self.work.key}")
            self.weights()
        except (OSError, DamagedFile) as error:
            self.warn(f"{error}; training is done again")
            return None
        if facts is None or curve is None or facts.curve_asked == dict(curve.asked):
            return facts
        return None

    def data(self) -> DataFacts | None:
        """What the pretraining looked at, None where nobody kept it; damage is named in a warning."""
        try:
            return self.files.read_data()
        except (OSError, DamagedFile) as error:
            self.warn(f"{error}; the images are read again")
            return None

    def weights(self) -> dict[str, Tensor] | None:
        """The stored weights, None where there are none. Raises DamagedFile, OSError."""
        try:
            weights, facts = load_tensors(self.files.weights)
        except FileNotFoundError:
            return None
        if facts.get("key") != self.work.key:
            raise DamagedFile(f"{self.files.weights}: of pretraining {facts.get('key')}, not {self.work.key}")
        return weights

    def features(self) -> Extraction | None:
        """Features that were made of the same weights, data and settings; others are named in a warning."""
        path, made_of = self.files.features, self._made_of()
        if not path.is_file():
            return None
        if (weights := self.weights()) is not None:
            made_of["weights"] = tensors_digest(weights)
        try:
            return load_extraction(path, torch.device(self.work.training.device), made_of)
        except (OSError, DamagedFile, StaleFeatures) as error:
            self.warn(f"{error}; features are extracted again")
        return None

    def load_weights(self, method: Method) -> bool:
        """Put the stored weights into ``method``; False where there are none. Raises DamagedFile, OSError."""
        weights = self.weights()
        if weights is None:
            return False
        if not fits(method, weights):
            raise DamagedFile(f"{self.files.weights}: not the weights of this method")
        method.load_state_dict(weights)
        return True

    def save_weights(self, method: Method) -> None:
        """Store the weights of a training that has ended."""
        tensors, facts = method.state_dict(), {"key": self.work.key}
        self.save(lambda: save_tensors(self.files.weights, tensors, facts), "weights")

    def save_features(self, features: Extraction, method: Method, input_spec: InputSpec) -> None:
        """Store features with what they were made of."""
        made_of = {**self._made_of(), "weights": weights_digest(method), "view": asdict(input_spec)}
        self.save(lambda: save_extraction(self.files.features, features, made_of), "features")

    def save_facts(self, facts: TrainingFacts) -> None:
        """Store the facts: from now on the training is done."""
        self.save(lambda: self.files.write_facts(facts), "facts")

    def save(self, write: Callable[[], object], what: str) -> None:
        """Call ``write``, of several ranks the first alone; an OSError becomes a warning that names ``what``."""
        if rank():
            return
        try:
            write()
        except OSError as error:
            self.warn(f"{what} not kept: {error}")

    def _made_of(self) -> dict[str, str]:
        """What features come from beside the weights; the key stands for data, view and settings."""
        return {"key": self.work.key, "precision": self.work.training.precision}
