"""What an earlier run left of a pretraining: read where it can be used, named where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from sslbench.contracts.executor import Work
from sslbench.contracts.method import InputSpec, Method
from sslbench.evaluate.features import Extraction, StaleFeatures, load_extraction, save_extraction
from sslbench.store.artifacts import PretrainingFiles, pretraining_files
from sslbench.store.record import TrainingFacts
from sslbench.train.checkpoint import load_tensors, tensors_digest, weights_digest


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
        path, made_of = self.files.features, self._made_of()
        if not path.is_file():
            return None
        if (weights := self._weights()) is not None:
            made_of["weights"] = tensors_digest(weights)
        try:
            return load_extraction(path, torch.device(self.work.training.device), made_of)
        except (OSError, SafetensorError, KeyError):
            self.warn(f"{path} cannot be read; features are extracted again")
        except StaleFeatures as error:
            self.warn(f"{error}; features are extracted again")
        return None

    def load_weights(self, method: Method) -> bool:
        """Put the stored weights into ``method``; False where there are none that can be read."""
        weights = self._weights()
        if weights is not None:
            method.load_state_dict(weights)
        return weights is not None

    def keep_features(self, features: Extraction, method: Method, input_spec: InputSpec) -> None:
        """Store features with what they were made of."""
        made_of = {**self._made_of(), "weights": weights_digest(method), "view": asdict(input_spec)}
        self.keep(lambda: save_extraction(self.files.features, features, made_of), "features")

    def keep_facts(self, facts: TrainingFacts) -> None:
        """Store the facts: from now on the training is done."""
        self.keep(lambda: self.files.write_facts(facts), "facts")

    def keep(self, write: Callable[[], object], what: str) -> None:
        """Call ``write``; an OSError becomes a warning that names ``what``."""
        try:
            write()
        except OSError as error:
            self.warn(f"{what} not kept: {error}")

    def _made_of(self) -> dict[str, str]:
        """What features come from beside the weights; the key stands for data, view and settings."""
        return {"key": self.work.key, "precision": self.work.training.precision}

    def _weights(self) -> dict[str, Tensor] | None:
        """The stored weights; None where there are none that can be read."""
        try:
            return load_tensors(self.files.weights)[0]
        except (OSError, SafetensorError):
            return None
