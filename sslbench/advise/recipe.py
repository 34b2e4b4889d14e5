"""The practitioner's path over a folder of labelled images: features, k-NN, linear probe, few labels, and what next.

Every number comes from the ordinary run machinery, so that it is kept, resumed and shown like any other result. The
model is chosen by the probe on a fifth of the training images; the test images have no part in the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from sslbench.advise.available import models_to_try
from sslbench.advise.defaults import BACKBONE, FEW_LABEL, FINE_TUNE, KNN, PROBE, SELF_SUPERVISED, SUPERVISED, UNTRAINED
from sslbench.advise.evidence import EvaluationImages, evidence_of, with_intervals
from sslbench.advise.folder import BASELINES, READ_SIZE, LabelledFolder, describe, folder_reference, reading_size
from sslbench.advise.frozen import FrozenFeatures, Model, Session
from sslbench.advise.head import Head, fit_head, write_head
from sslbench.advise.rows import Row, RowKind, choose, evaluated, probe_on_held_out, row_of
from sslbench.advise.verdict import Advice, Evidence, decide
from sslbench.contracts.dataset import DatasetSpec
from sslbench.errors import SslbenchError
from sslbench.hooks.registry import one_line
from sslbench.plan.choose import chosen
from sslbench.plan.reference import Reference
from sslbench.report.text import plural

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
ALL_IMAGES = ("--set", "train_images=null")
"""the default suite takes part of a large set, for speed"""
HEAD = "head"
"""folder of the fitted head, below that of the results"""


@dataclass(frozen=True)
class Recipe:
    """What was found out, and what to do next."""

    folder: LabelledFolder
    rows: tuple[Row, ...]
    best: int | None
    """index of the row that was chosen"""
    evidence: Evidence
    """what the advice rests on"""
    advice: Advice
    command: tuple[str, ...]
    """the next one, in words of a shell"""
    note: str
    """on the models, if there is one"""
    head: Path
    """the folder of the fitted head, where one was fitted"""
    not_stored: str = ""
    """why it is not there"""


@dataclass(frozen=True)
class Candidate:
    """A model to try, and the side at which its images are read, pixels."""

    model: Model
    size: int
    kind: RowKind

    @property
    def runs_code(self) -> bool:
        """Whether it is built by code that comes with it."""
        return self.model.method.runs_code


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
        """The models, then the baselines that are installed and not among them. Raises UserError for a model that is
        not there."""
        settings, registry = self.session.settings, self.session.registry
        models = [Model.of(reference, registry) for reference in references]
        candidates = [Candidate(model, reading_size(model, settings), "model") for model in models]
        missing = {*registry.names("method")} - {str(reference) for reference in references}
        baselines = {name: size for name, size in BASELINES.items() if name in missing}
        return candidates + [
            Candidate(Model.of(Reference(name), registry), size, "baseline") for name, size in baselines.items()
        ]

    def features(self, candidate: Candidate) -> FrozenFeatures:
        """Of the folder's images."""
        return self.session.features(candidate.model, self.dataset(candidate.size))

    def evaluate(self, candidate: Candidate, folder: LabelledFolder) -> Row:
        """k-NN and linear probe of one model, and the curve where it is not a baseline."""
        most = min(folder.fewest, max(1, MOST_LABELS // len(folder.classes)))
        points = [point for point in CURVE if point <= most][-POINTS:] if candidate.kind == "model" else []
        evaluators = probes(folder)
        evaluators += [Reference(FEW_LABEL, {"labels": points, "draws": DRAWS})] if points else []
        records = self.session.evaluate(candidate.model.reference, self.dataset(candidate.size), evaluators)
        row = row_of(records, candidate.model.label, candidate.kind, self.session.settings.out)
        if row.linear is None:
            return row
        frozen, registry = self.features(candidate), self.session.registry
        return replace(
            row,
            chosen_by=probe_on_held_out(frozen.extraction.train, len(frozen.classes), frozen.settings.seed, registry),
        )

    def untrained(self, candidate: Candidate, folder: LabelledFolder) -> Row:
        """The same of the model's network with fresh weights."""
        label = f"{candidate.model.label}, untrained"
        frozen = self.features(candidate)
        try:
            extraction = frozen.untrained()
        except SslbenchError as error:
            return Row(label, "untrained", of=candidate.model.label, reason=str(error))
        row = evaluated(Row(label, "untrained"), extraction, probes(folder), self.session)
        return replace(row, of=candidate.model.label)

    def from_scratch(self, folder: LabelledFolder) -> Row:
        """A small network on the same labels, few epochs: what there is without any model."""
        presets = self.session.registry.get("method", SUPERVISED).presets
        method = Reference(SUPERVISED, {"preset": "quick"} if "quick" in presets else {})
        low, high = SCRATCH_EPOCHS
        epochs = min(high, max(low, SCRATCH_IMAGES // folder.train))
        records = self.session.evaluate(
            method, self.dataset(READ_SIZE), [Reference(PROBE)], epochs=epochs, batch_size=min(32, folder.train)
        )
        out = self.session.settings.out
        return row_of(records, f"from scratch ({BACKBONE}, {plural(epochs, 'epoch')})", "scratch", out)

    def fit_head(self, candidate: Candidate, accuracy: float, folder: LabelledFolder) -> tuple[Head, NDArray[Any]]:
        """The linear layer on a model whose probe has this accuracy, 0..1, and the class that it gives each image to
        evaluate on, int ``[N]``."""
        numbers = {"linear_top1": accuracy, "images": folder.test, "folder": str(self.root.resolve())}
        frozen = self.features(candidate)
        head = fit_head(frozen, candidate.size, numbers, self.session.registry)
        return head, head.layer.logits(frozen.extraction.test.features.cpu()).argmax(dim=1).numpy()

    def store_head(self, head: Head) -> str:
        """Write it; returns why it cannot be written, or nothing. The advice is worth more than its file."""
        try:
            write_head(head, self.session.settings.out / HEAD)
        except (OSError, SafetensorError) as error:
            return one_line(error)
        return ""


def probes(folder: LabelledFolder) -> list[Reference]:
    """k-NN and linear probe."""
    return [Reference(KNN, {"k": min(20, folder.fewest)}), Reference(PROBE)]


def recipe(
    root: Path, session: Session, *, labels: Path | None = None, models: Sequence[Reference] = (), scratch: bool = True
) -> Recipe:
    """Try the models (default: those that can be had) and the baselines on a folder of labelled images.

    Raises UserError for a folder that holds nothing to learn from, and for a model that is not there.
    """
    run, settings, registry = RecipeRun(root, labels, session), session.settings, session.registry
    run.check_layout()
    references, note = models_to_try(models, settings, registry)
    candidates = run.candidates(references)
    frozen = run.features(candidates[0])
    folder = describe(root, labels, frozen)
    rows = [run.evaluate(candidate, folder) for candidate in candidates]
    best = choose(rows)
    rows += [run.untrained(candidate, folder) for candidate in candidates if candidate.kind == "model"]
    if scratch and SUPERVISED in registry.names("method"):
        rows.append(run.from_scratch(folder))
    images = images_of(frozen, folder)
    chosen_one = None if best is None else candidates[best]
    head, predicted = None, None
    if best is not None and (accuracy := rows[best].linear) is not None:
        head, predicted = run.fit_head(candidates[best], accuracy, folder)
    evidence = evidence_of(rows, best, images, predicted)
    advice = decide(evidence)
    return Recipe(
        folder=folder,
        rows=tuple(with_intervals(rows, best, images)),
        best=best,
        evidence=evidence,
        advice=advice,
        command=next_command(run, advice, chosen_one),
        note=note,
        head=settings.out / HEAD,
        not_stored="" if head is None else run.store_head(head),
    )


def images_of(frozen: FrozenFeatures, folder: LabelledFolder) -> EvaluationImages:
    """The labels of the images to evaluate on, in the order of all features, with what else the rule asks."""
    labels = frozen.data.test.labels
    assert labels is not None
    known = frozen.data.facts().duplicates or 0
    return EvaluationImages(labels.cpu().numpy(), folder.classes, folder.fewest, folder.held_out, known)


def next_command(run: RecipeRun, advice: Advice, candidate: Candidate | None) -> tuple[str, ...]:
    """In words of a shell; ``candidate`` is the model that was chosen, if one was."""
    settings = run.session.settings
    trust = ("--trust",) if candidate and candidate.runs_code else ()
    predicting = ("sslbench", "predict", str(settings.out / HEAD), "NEW_IMAGES", *trust)
    if advice.verdict == "stop":
        return predicting
    if advice.verdict == "no test":
        return ("sslbench", "recipe", str(run.root), *(("--labels", str(run.labels)) if run.labels else ()))
    if advice.verdict in ("more labels", "cannot tell") and candidate is not None:
        return (*predicting, "--unsure-first")
    if advice.verdict == "fine-tune" and candidate is not None:
        return (*fine_tuning(run, candidate), *trust)
    if advice.verdict == "another model" and not settings.download:
        labels = ("--labels", str(run.labels)) if run.labels else ()
        return ("sslbench", "recipe", str(run.root), *labels, "--download")
    methods = ("-m", SELF_SUPERVISED, "-m", UNTRAINED)
    return ("sslbench", "run", "-d", str(run.dataset(READ_SIZE)), *methods, "-e", PROBE, *ALL_IMAGES)


def fine_tuning(run: RecipeRun, candidate: Candidate) -> tuple[str, ...]:
    """Fine-tune the model beside training from scratch; where that evaluator is not installed, train on labels."""
    methods, evaluators = ["-m", str(candidate.model.reference)], ["-e", PROBE]
    if FINE_TUNE in run.session.registry.names("evaluator"):
        evaluators = ["-e", f"{FINE_TUNE}:preset=default", *evaluators]
    else:
        methods += ["-m", SUPERVISED]
    return ("sslbench", "run", "-d", str(run.dataset(candidate.size)), *methods, *evaluators, *ALL_IMAGES)
