"""Evaluates the models, the baselines and a network trained from scratch on one folder of labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sslbench.advise.defaults import BACKBONE, FEW_LABEL, KNN, PROBE, RAW_PIXELS, SUPERVISED, UNTRAINED
from sslbench.advise.folder import READ_SIZE, folder_reference, reading_size
from sslbench.advise.frozen import FrozenFeatures, Model
from sslbench.advise.head import Head, HeadNumbers, fit_head
from sslbench.advise.labelled_folder import LabelledFolder
from sslbench.advise.rows import Row, RowKind, probe_on_held_out, row_of
from sslbench.advise.session import Session
from sslbench.contracts.dataset import DatasetSpec
from sslbench.plan.choose import chosen
from sslbench.plan.reference import Reference
from sslbench.report.text import plural

BASELINES = {RAW_PIXELS: 32, UNTRAINED: READ_SIZE}
"""method -> side at which its images are read, pixels; pixels as features grow with its square"""
CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""labels a class"""
POINTS, DRAWS = 6, 5
"""of the curve: at the most, the largest of those there are labels for; and draws of the labels for each"""
MOST_LABELS = 2_000
"""that a point of the curve has at the most, all classes together: five fits of more take minutes on a CPU"""
SCRATCH_IMAGES = 60_000
"""that the network trained from scratch sees at the most, all epochs together"""
SCRATCH_EPOCHS = (3, 30)
"""fewest and most"""


@dataclass(frozen=True)
class Candidate:
    """A model to try, and the side at which its images are read, pixels."""

    model: Model
    size: int
    kind: RowKind


@dataclass(frozen=True)
class RecipeRun:
    """One folder, its labels, and what it is evaluated with."""

    root: Path
    labels: Path | None
    """table of labels, or None for class folders"""
    session: Session

    def dataset(self, size: int) -> Reference:
        """The folder as a data set whose images are read at ``size`` pixels."""
        params = {"labels": str(self.labels)} if self.labels else {}
        return folder_reference(self.root, size, labelled=True, **params)

    def check_layout(self) -> None:
        """Raises UserError for a folder or a table that is not laid out as a data set; reads no image."""
        choice = chosen("dataset", self.dataset(READ_SIZE), self.session.registry)
        assert isinstance(choice.spec, DatasetSpec)
        choice.spec.fingerprint(choice.params)

    def candidates(self, references: Sequence[Reference]) -> list[Candidate]:
        """The models, then the baselines that are installed. Raises UserError for a model that is not there."""
        settings, registry = self.session.settings, self.session.registry
        models = [Model.of(reference, registry) for reference in references]
        candidates = [Candidate(model, reading_size(model, settings), "model") for model in models]
        installed = registry.names("method")
        return candidates + [
            Candidate(Model.of(Reference(name), registry), size, "baseline")
            for name, size in BASELINES.items()
            if name in installed
        ]

    def features(self, candidate: Candidate) -> FrozenFeatures:
        """Of the folder's images."""
        return self.session.features(candidate.model, self.dataset(candidate.size))

    def evaluate(self, candidate: Candidate, folder: LabelledFolder) -> Row:
        """k-NN and linear probe of one model, and the curve where it is not a baseline."""
        most = min(folder.fewest, max(1, MOST_LABELS // len(folder.classes)))
        points = [point for point in CURVE if point <= most][-POINTS:] if candidate.kind == "model" else []
        evaluators = [Reference(KNN, {"k": min(20, folder.fewest)}), Reference(PROBE)]
        evaluators += [Reference(FEW_LABEL, {"labels": points, "draws": DRAWS})] if points else []
        records = self.session.evaluate(candidate.model.reference, self.dataset(candidate.size), evaluators)
        row = row_of(records, candidate.model.label, candidate.kind)
        if row.linear is None:
            return row
        return replace(row, chosen_by=probe_on_held_out(self.features(candidate), self.session.registry))

    def from_scratch(self, folder: LabelledFolder) -> Row:
        """A small network on the same labels, few epochs: what there is without any model."""
        presets = self.session.registry.get("method", SUPERVISED).presets
        method = Reference(SUPERVISED, {"preset": "quick"} if "quick" in presets else {})
        low, high = SCRATCH_EPOCHS
        epochs = min(high, max(low, SCRATCH_IMAGES // folder.train))
        records = self.session.evaluate(
            method, self.dataset(READ_SIZE), [Reference(PROBE)], epochs=epochs, batch_size=min(32, folder.train)
        )
        return row_of(records, f"from scratch ({BACKBONE}, {plural(epochs, 'epoch')})", "scratch")

    def fit_head(self, candidate: Candidate, accuracy: float, folder: LabelledFolder) -> Head:
        """The linear layer on a model whose probe has this accuracy, 0..1."""
        numbers = HeadNumbers(accuracy, folder.test, str(self.root.resolve()))
        return fit_head(self.features(candidate), candidate.size, numbers, self.session.registry)
