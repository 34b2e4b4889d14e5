"""One model on a folder of labelled images: accuracies of k-NN, linear probe and few labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sslbench.advise.defaults import FEW_LABEL_METRIC, KNN_METRIC, PROBE, PROBE_METRIC, RAW_PIXELS
from sslbench.advise.folder import LabelledFolder
from sslbench.advise.frozen import FrozenFeatures
from sslbench.advise.verdict import Evidence, Share
from sslbench.contracts.dataset import Split
from sslbench.contracts.evaluator import EvaluationData, FeatureSet
from sslbench.contracts.plugin import BuildContext
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import chosen
from sslbench.plan.reference import Reference
from sslbench.store.record import FeatureFacts, Record
from sslbench.train.data import held_out

RowKind = Literal["model", "baseline", "scratch"]


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


def row_of(records: Sequence[Record], label: str, kind: RowKind) -> Row:
    """The accuracies among the records of one model."""
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
    return Row(label, kind, values.get(KNN_METRIC), values.get(PROBE_METRIC), curve, dim, speed, reason=reason)


def probe_on_held_out(frozen: FrozenFeatures, registry: Registry) -> float | None:
    """The probe on a fifth of the training images, fitted on the rest; None where they are too few."""
    train, classes, seed = frozen.extraction.train, len(frozen.classes), frozen.settings.seed
    assert train.labels is not None
    keep, held = held_out(Split(train.features, train.labels.cpu()))
    if not len(held):
        return None
    rest, fifth = (FeatureSet(train.features[part], train.labels[part]) for part in (keep, held))
    probe = chosen("evaluator", Reference(PROBE), registry).build(BuildContext(classes=classes, seed=seed))
    value: float | None = next(iter(probe.evaluate(EvaluationData(rest, fifth, classes, seed)))).value
    return value


def choose(rows: Sequence[Row]) -> int | None:
    """Index of the model with the best probe on a fifth of the training images, the first of equals; of a baseline
    where there is no model; None where nothing was measured."""
    for kind in ("model", "baseline"):
        measured = [index for index, row in enumerate(rows) if row.kind == kind and row.linear is not None]
        if measured:
            return max(measured, key=lambda index: (rows[index].chosen_by or 0.0, -index))
    return None


def evidence_of(rows: Sequence[Row], best: int | None, folder: LabelledFolder) -> Evidence:
    """What the decision rule is given."""

    def share_of(row: Row | None) -> Share | None:
        return None if row is None or row.linear is None else Share(row.linear, folder.test)

    if best is None:
        return Evidence("", None, folder.fewest, {}, reason=rows[0].reason or "no model could be measured")
    row = rows[best]
    pixels = share_of(next((other for other in rows if other.label == RAW_PIXELS and other is not row), None))
    scratch = share_of(next((other for other in rows if other.kind == "scratch"), None))
    curve = {labels: accuracy.mean for labels, accuracy in row.curve.items()}
    return Evidence(row.label, share_of(row), folder.fewest, curve, pixels, scratch, row.kind == "baseline")
