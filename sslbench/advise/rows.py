"""One model on a folder of labelled images: accuracies of k-NN, linear probe and few labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sslbench.advise.defaults import FEW_LABEL_METRIC, KNN_METRIC, PROBE, PROBE_METRIC
from sslbench.advise.frozen import Session
from sslbench.contracts.dataset import Split
from sslbench.contracts.evaluator import EvaluationData, FeatureSet, Metric
from sslbench.contracts.plugin import BuildContext
from sslbench.evaluate.features import Extraction
from sslbench.evaluate.run import run_evaluator
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import chosen
from sslbench.plan.reference import Reference
from sslbench.statistics.intervals import Difference
from sslbench.statistics.shares import Share
from sslbench.store.artifacts import pretraining_files, read_per_image
from sslbench.store.digests import DamagedFile
from sslbench.store.record import FeatureFacts, Record
from sslbench.train.data import held_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

RowKind = Literal["model", "untrained", "baseline", "scratch", "constant"]
"""``untrained``: the network of a model with fresh weights; ``constant``: one class for all images"""


class OverDraws(NamedTuple):
    """Accuracy with few labels, 0..1, over draws of the labels."""

    mean: float
    std: float | None


@dataclass(frozen=True)
class Row:
    """One model and its accuracies, 0..1; None where one was not measured."""

    label: str
    kind: RowKind
    knn: float | None = None
    linear: float | None = None
    curve: Mapping[int, OverDraws] = field(default_factory=dict)
    """labels a class -> accuracy"""
    dim: int | None = None
    """of its features"""
    images_per_second: float | None = None
    chosen_by: float | None = None
    """the probe on a fifth of the training images"""
    reason: str = ""
    """what went wrong, if something did"""
    licence: str = ""
    """of weights of somebody else"""
    of: str = ""
    """of an untrained network: the label of the model"""
    right: Any = field(default=None, compare=False, repr=False)
    """uint8 ``[N]``: 1 for each image to evaluate on that the linear probe gets right, else 0; None where it is not
    kept"""
    share: Share | None = None
    """``linear`` with its interval"""
    balanced: Share | None = None
    """the mean over classes, where classes are unequal"""
    behind: Difference | None = None
    """of the chosen row less this one, in what counts"""
    corrected: float | None = None
    """p of it, corrected for the number of rows (Holm)"""
    tie: bool | None = None
    """whether it is not told apart from the chosen one"""


def row_of(records: Sequence[Record], label: str, kind: RowKind, folder: Path) -> Row:
    """The accuracies among the records of one model. ``folder``: of the results."""
    metrics = {name: metric for record in records for name, metric in record.metrics.items()}
    values = {name: metric.value for name, metric in metrics.items()}
    curve = {
        int(labels): OverDraws(metric.value, metric.std)
        for name, metric in metrics.items()
        if name.startswith(FEW_LABEL_METRIC) and metric.value is not None
        if (labels := name.removeprefix(FEW_LABEL_METRIC)).isdigit()
    }
    reasons = [record.reason for record in records]
    reasons += [metrics[PROBE_METRIC].reason] if PROBE_METRIC in metrics else []
    reason = next(filter(None, reasons), "")
    features = next((record.features for record in records if record.features), FeatureFacts())
    dim, speed = features.dim, features.images_per_second
    row = Row(label, kind, values.get(KNN_METRIC), values.get(PROBE_METRIC), curve, dim, speed, reason=reason)
    weights = next((record.weights for record in records if record.weights), None)
    row = replace(row, licence=weights.licence_in_words if weights else "")
    try:
        return replace(row, right=right_of(records, folder))
    except DamagedFile as error:
        return replace(row, reason=row.reason or f"{error}; its share is compared as if it were of other images")


def right_of(records: Sequence[Record], folder: Path) -> NDArray[Any] | None:
    """Which test images the probe has right, or None where that is not kept. Raises DamagedFile."""
    for record in records:
        if PROBE_METRIC in record.metrics and record.pretraining and record.pretraining.key:
            files = pretraining_files(folder, record.pretraining.key)
            return read_per_image(files.per_image(record.cell)).get(PROBE_METRIC)
    return None


def evaluated(row: Row, extraction: Extraction, evaluators: Sequence[Reference], session: Session) -> Row:
    """The row with what evaluators measure on features that no run has made."""
    metrics = {
        metric.name: metric
        for reference in evaluators
        for metric in run_evaluator(
            chosen("evaluator", reference, session.registry), extraction, None, session.settings.seed
        ).metrics
    }
    knn, linear = metrics.get(KNN_METRIC), metrics.get(PROBE_METRIC)
    right = None if linear is None or linear.per_image is None else linear.per_image.cpu().numpy()
    return replace(
        row,
        knn=None if knn is None else knn.value,
        linear=None if linear is None else linear.value,
        dim=extraction.dim,
        images_per_second=extraction.images_per_second,
        right=right,
        reason="" if linear is None else linear.reason,
    )


def probe_on_held_out(train: FeatureSet, classes: int, seed: int, registry: Registry) -> float | None:
    """The probe on a fifth of the training images, fitted on the rest; None where they are too few."""
    assert train.labels is not None
    keep, held = held_out(Split(train.features, train.labels.cpu()))
    if not len(held):
        return None
    rest, fifth = (FeatureSet(train.features[part], train.labels[part]) for part in (keep, held))
    probe = chosen("evaluator", Reference(PROBE), registry).build(BuildContext(classes=classes, seed=seed))
    yielded = probe.evaluate(EvaluationData(rest, fifth, classes, seed))
    return next(item.value for item in yielded if isinstance(item, Metric))


def choose(rows: Sequence[Row]) -> int | None:
    """Index of the model with the best probe on a fifth of the training images, the first of equals; of a baseline
    where there is no model; None where nothing was measured."""
    for kind in ("model", "baseline"):
        measured = [index for index, row in enumerate(rows) if row.kind == kind and row.linear is not None]
        if measured:
            return max(measured, key=lambda index: (rows[index].chosen_by or 0.0, -index))
    return None
