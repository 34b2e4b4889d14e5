"""What an earlier run left of a pretraining: read where it can be used, named where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError

from sslbench.contracts.executor import Work
from sslbench.contracts.method import InputSpec, Method
from sslbench.evaluate.features import Extraction, StaleFeatures, load_extraction, save_extraction
from sslbench.store.artifacts import PretrainingFiles, pretraining_files
from sslbench.store.record import TrainingFacts
from sslbench.train.checkpoint import load_tensors, save_tensors, tensors_digest, weights_digest


@dataclass(frozen=True)
class KeptArtifacts:
    """The artifacts of one piece of work. One that cannot be written costs the next run time, and this one nothing."""

    work: Work
    warn: Callable[[str], None]

    @property
    def files(self) -> PretrainingFiles:
        """Where they lie."""
        return pretraining_files(Path(self.work.out), self.work.key)

    def facts(self) -> TrainingFacts | None:
        """Of this pretraining, if it has ended and has the curve that the work asks for."""
        facts, curve = self.files.read_facts(), self.work.curve
        if facts is None or facts.key != self.work.key:
            return None
        return facts if curve is None or facts.curve_asked == dict(curve.asked) else None

    def features(self) -> Extraction | None:
        """Features that were made of the same weights, data and settings; others are named in a warning."""
        path = self.files.features
        if not path.is_file():
            return None
        try:
            return load_extraction(path, torch.device(self.work.training.device), self._made_of(self._weights_digest()))
        except (OSError, SafetensorError, KeyError):
            self.warn(f"{path} cannot be read; features are extracted again")
        except StaleFeatures as error:
            self.warn(f"{error}; features are extracted again")
        return None

    def load_weights(self, method: Method) -> bool:
        """Put the stored weights into ``method``; False where there are none that can be read."""
        try:
            tensors, _ = load_tensors(self.files.weights)
        except (OSError, SafetensorError):
            return False
        method.load_state_dict(tensors)
        return True

    def keep_features(self, features: Extraction, method: Method, input_spec: InputSpec) -> None:
        """Store features with what they were made of."""
        made_of = {**self._made_of(weights_digest(method)), "view": asdict(input_spec)}
        self.keep(lambda: save_extraction(self.files.features, features, made_of), "features")

    def keep_weights(self, method: Method) -> None:
        """Store everything that ``load_weights`` puts back."""
        self.keep(lambda: save_tensors(self.files.weights, method.state_dict(), {}), "weights")

    def keep_facts(self, facts: TrainingFacts) -> None:
        """Store the facts: from now on the training is done."""
        self.keep(lambda: self.files.write_facts(facts), "facts")

    def keep(self, write: Callable[[], object], what: str) -> None:
        """Call ``write``; an OSError becomes a warning that names ``what``."""
        try:
            write()
        except OSError as error:
            self.warn(f"{what} not kept: {error}")

    def _made_of(self, weights: str | None) -> dict[str, str]:
        """What features come from: the key, which stands for data, view and settings; the precision; the weights."""
        facts = {"key": self.work.key, "precision": self.work.training.precision}
        return facts if weights is None else {**facts, "weights": weights}

    def _weights_digest(self) -> str | None:
        """Of the stored weights; None where there are none that can be read."""
        try:
            return tensors_digest(load_tensors(self.files.weights)[0])
        except (OSError, SafetensorError):
            return None
