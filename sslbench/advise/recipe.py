"""The practitioner's path over a folder of labelled images: features, k-NN, linear probe, few labels, and what next.

Every figure comes from the ordinary run machinery, so that it is kept, resumed and looked at like any other result. The
model is chosen by the probe on a fifth of the training images; the images that the figures are of have no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from sslbench.advise.folder import SIZE, folder_reference, reading_size
from sslbench.advise.frozen import BACKBONE, Frozen, Model, Settings
from sslbench.advise.head import PROBE, Head, fit_head, write_head
from sslbench.advise.labelled_folder import Folder, look, plural
from sslbench.advise.models import available
from sslbench.advise.verdict import Advice, Figures, Share, decide
from sslbench.contracts.dataset import DatasetSpec, Split
from sslbench.contracts.evaluator import EvaluationData, FeatureSet
from sslbench.contracts.executor import Emit
from sslbench.contracts.plugin import BuildContext
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.hooks.registry import Registry, one_line
from sslbench.plan.reference import Reference
from sslbench.plan.single import chosen
from sslbench.plan.suite import RawSuite
from sslbench.train.data import held_out

KNN, FEW_LABEL, FINE_TUNE = "knn", "few-label", "fine-tune"
BASELINES = {"raw-pixels": 32, "random-init": SIZE}
"""method -> side at which its images are read; pixels as features grow with its square"""
SCRATCH = "supervised"
CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""labels a class"""
POINTS, DRAWS = 6, 5
"""of the curve: at the most, the largest of those there are labels for; and draws of the labels for each"""
LABELS = 2_000
"""that a point of the curve has at the most, all classes together: five fits of more take minutes on a CPU"""
SCRATCH_IMAGES = 60_000
"""that the network trained from scratch sees at the most, all epochs together"""
SCRATCH_EPOCHS = (3, 30)
"""fewest and most"""
ALL = ("--set", "train_images=null")
"""the default suite takes part of a large set, for speed"""
HEAD = "head"
"""folder of the fitted head, below that of the results"""


@dataclass(frozen=True)
class Row:
    """One model and its figures; None where there is none."""

    label: str
    kind: str
    """``model``, ``baseline`` or ``scratch``"""
    knn: float | None = None
    linear: float | None = None
    curve: Mapping[int, tuple[float, float | None]] = field(default_factory=dict)
    """labels a class -> mean and deviation over draws"""
    dim: int | None = None
    images_per_second: float | None = None
    chosen_by: float | None = None
    """the probe on a fifth of the training images"""
    reason: str = ""
    """what went wrong, if something did"""


@dataclass(frozen=True)
class Recipe:
    """The answer."""

    folder: Folder
    rows: tuple[Row, ...]
    best: int | None
    """the row that was chosen"""
    advice: Advice
    command: tuple[str, ...]
    """the next one, in words of a shell"""
    note: str
    """on the models, if something is to be said"""
    head: Path
    """the folder of the fitted head, where one was fitted"""
    not_stored: str = ""
    """why it is not there"""


@dataclass
class RecipeRun:
    """One folder, its models and where results go."""

    root: Path
    labels: Path | None
    settings: Settings
    registry: Registry
    emit: Emit

    def dataset(self, size: int) -> Reference:
        given = {"labels": str(self.labels)} if self.labels else {}
        return folder_reference(self.root, size, labelled=True, **given)

    def check(self) -> None:
        """Raises UserError for a folder or a table that is not laid out as a data set; reads no image."""
        found = chosen("dataset", self.dataset(SIZE), self.registry)
        assert isinstance(found.spec, DatasetSpec)
        found.spec.fingerprint(found.params)

    def frozen(self, model: Model, size: int) -> Frozen:
        return Frozen(model, chosen("dataset", self.dataset(size), self.registry), self.settings, self.emit)

    def run(
        self, method: Reference, size: int, evaluators: Sequence[Reference], **training: Any
    ) -> list[dict[str, Any]]:
        """The records of one method, by evaluator."""
        axes = {
            "method": [method],
            "dataset": [self.dataset(size)],
            "backbone": [Reference(BACKBONE)],
            "augmentation": ["auto"],
            "evaluator": list(evaluators),
        }
        data = {"axes": axes, "seeds": [self.settings.seed], "training": {**self.settings.training, **training}}
        request = Request(RawSuite("recipe", "recipe", data), out=self.settings.out, download=self.settings.download)
        return run(request, self.emit, self.registry).records


def recipe(
    root: Path,
    settings: Settings,
    registry: Registry,
    emit: Emit,
    *,
    labels: Path | None = None,
    models: Sequence[Reference] = (),
    scratch: bool = True,
) -> Recipe:
    """Try the models (default: those that can be had) and the baselines on a folder of labelled images.

    Raises UserError for a folder that holds nothing to learn from, and for a model that is not there.
    """
    kitchen = RecipeRun(root, labels, settings, registry, emit)
    kitchen.check()
    had = available(registry, settings.download) if not models else None
    found = [Model.found(one, registry) for one in (had.references if had else models)]
    sizes = [reading_size(model, settings) for model in found]
    baselines = [Reference(name) for name in BASELINES if name in registry.names("method")]
    found += [Model.found(one, registry) for one in baselines]
    sizes += [BASELINES[one.name] for one in baselines]
    folder = look(root, labels, kitchen.frozen(found[0], sizes[0]))
    kinds = ["model"] * (len(found) - len(baselines)) + ["baseline"] * len(baselines)
    rows = [tried(kitchen, *one, folder) for one in zip(found, sizes, kinds, strict=True)]
    best = choose(rows)
    if scratch and SCRATCH in registry.names("method"):
        rows.append(from_scratch(kitchen, folder))
    advice = decide(figures_of(rows, best, folder))
    lost, command = "", next_command(kitchen, advice, None, SIZE)
    if best is not None:
        command = next_command(kitchen, advice, found[best], sizes[best])
        if rows[best].linear is not None:
            figures = {"linear_top1": rows[best].linear, "images": folder.test, "folder": str(root.resolve())}
            head = fit_head(kitchen.frozen(found[best], sizes[best]), sizes[best], figures, registry)
            lost = not_written(head, settings.out / HEAD)
    note = had.note if had else ""
    return Recipe(folder, tuple(rows), best, advice, command, note, settings.out / HEAD, lost)


def not_written(head: Head, folder: Path) -> str:
    """Write it; why that could not be, or nothing. The answer is worth more than its file."""
    try:
        write_head(head, folder)
    except (OSError, SafetensorError) as error:
        return one_line(error)
    return ""


def tried(kitchen: RecipeRun, model: Model, size: int, kind: str, folder: Folder) -> Row:
    """Features, k-NN and linear probe of one model, and the curve where it is not a baseline."""
    most = min(folder.fewest, max(1, LABELS // len(folder.classes)))
    points = [point for point in CURVE if point <= most][-POINTS:] if kind == "model" else []
    evaluators = [Reference(KNN, {"k": min(20, folder.fewest)}), Reference(PROBE)]
    evaluators += [Reference(FEW_LABEL, {"labels": points, "draws": DRAWS})] if points else []
    row = row_of(kitchen.run(model.reference, size, evaluators), model.label, kind)
    if row.linear is None:
        return row
    return replace(row, chosen_by=on_validation(kitchen.frozen(model, size), kitchen.registry))


def from_scratch(kitchen: RecipeRun, folder: Folder) -> Row:
    """A small network on the same labels, few epochs: what there is without any model."""
    presets = kitchen.registry.get("method", SCRATCH).presets
    method = Reference(SCRATCH, {"preset": "quick"} if "quick" in presets else {})
    low, high = SCRATCH_EPOCHS
    epochs = min(high, max(low, SCRATCH_IMAGES // folder.train))
    records = kitchen.run(method, SIZE, [Reference(PROBE)], epochs=epochs, batch_size=min(32, folder.train))
    return row_of(records, f"from scratch ({BACKBONE}, {plural(epochs, 'epoch')})", "scratch")


def row_of(records: Sequence[Mapping[str, Any]], label: str, kind: str) -> Row:
    """The figures of the records of one model."""
    metrics = {name: metric for record in records for name, metric in record["metrics"].items()}

    def value(name: str) -> float | None:
        return metrics.get(name, {}).get("value")

    curve = {
        int(name.rpartition("@")[2]): (metric["value"], metric["std"])
        for name, metric in metrics.items()
        if name.startswith("few_label_top1@") and name.rpartition("@")[2].isdigit() and metric["value"] is not None
    }
    reasons = [record["reason"] for record in records if record["reason"]]
    reasons += [metric["reason"] for name, metric in metrics.items() if metric["reason"] and name == "linear_top1"]
    features: Mapping[str, Any] = next((record["features"] for record in records if record["features"]), {})
    return Row(
        label,
        kind,
        value("knn_top1"),
        value("linear_top1"),
        curve,
        features.get("dim"),
        features.get("images_per_second"),
        reason=reasons[0] if reasons else "",
    )


def on_validation(frozen: Frozen, registry: Registry) -> float | None:
    """The probe on a fifth of the training images, fitted on the rest; None where they are too few."""
    found, classes = frozen.extraction.train, len(frozen.classes)
    assert found.labels is not None
    keep, held = held_out(Split(found.features, found.labels.cpu()))
    if not len(held):
        return None
    rest, fifth = (FeatureSet(found.features[one], found.labels[one]) for one in (keep, held))
    spec = registry.get("evaluator", PROBE)
    metrics = spec.build(spec.params(), BuildContext()).evaluate(
        EvaluationData(rest, fifth, classes, frozen.settings.seed)
    )
    return next(iter(metrics)).value


def choose(rows: Sequence[Row]) -> int | None:
    """The model with the best probe on a fifth of the training images, the first of equals; a baseline where there is
    no model. None where nothing has a figure."""
    for kind in ("model", "baseline"):
        places = [place for place, row in enumerate(rows) if row.kind == kind and row.linear is not None]
        if places:
            return max(places, key=lambda place: (rows[place].chosen_by or 0.0, -place))
    return None


def figures_of(rows: Sequence[Row], best: int | None, folder: Folder) -> Figures:
    """What the rule is asked with."""

    def share(row: Row | None) -> Share | None:
        return None if row is None or row.linear is None else Share(row.linear, folder.test)

    if best is None:
        return Figures("", None, folder.fewest, {}, reason=rows[0].reason or "no model gave a figure")
    chosen_row = rows[best]
    pixels = next((row for row in rows if row.label == "raw-pixels" and row is not chosen_row), None)
    scratch = next((row for row in rows if row.kind == "scratch"), None)
    curve = {point: mean for point, (mean, _) in chosen_row.curve.items()}
    return Figures(
        chosen_row.label,
        share(chosen_row),
        folder.fewest,
        curve,
        share(pixels),
        share(scratch),
        chosen_row.kind == "baseline",
    )


def next_command(kitchen: RecipeRun, advice: Advice, model: Model | None, size: int) -> tuple[str, ...]:
    """What to type next."""
    folder = [str(kitchen.root), *(["--labels", str(kitchen.labels)] if kitchen.labels else [])]
    head = str(kitchen.settings.out / HEAD)
    if advice.verdict == "stop":
        return ("sslbench", "predict", head, "NEW_IMAGES")
    if advice.verdict == "more labels":
        return ("sslbench", "predict", head, "NEW_IMAGES", "--unsure-first")
    if advice.verdict == "fine-tune" and model is not None:
        there = FINE_TUNE in kitchen.registry.names("evaluator")
        methods = ["-m", str(model.reference), *([] if there else ["-m", SCRATCH])]
        judges = ["-e", f"{FINE_TUNE}:preset=default", "-e", PROBE] if there else ["-e", PROBE]
        return ("sslbench", "run", "-d", str(kitchen.dataset(size)), *methods, *judges, *ALL)
    if advice.verdict == "another model" and not kitchen.settings.download:
        return ("sslbench", "recipe", *folder, "--download")
    return ("sslbench", "run", "-d", str(kitchen.dataset(SIZE)), "-m", "simclr", "-m", "random-init", "-e", PROBE, *ALL)
