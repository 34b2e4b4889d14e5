"""Running evaluators on features, after a training or again and again during one; seeded, and the model guarded."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from sslbench.contracts.evaluator import EvaluationData, EvaluatorSpec, FeatureSet, Metric, Picture, ShownImages
from sslbench.contracts.metric_checks import metric_mistakes
from sslbench.contracts.picture_checks import picture_mistakes
from sslbench.contracts.plugin import BuildContext
from sslbench.draw.canvas import png_of
from sslbench.errors import PluginError
from sslbench.evaluate.evaluated_model import TrainedModel
from sslbench.evaluate.features import Extraction, extract_all
from sslbench.evaluate.shown_images import ImagesUnreadable
from sslbench.hooks.import_state import put_back
from sslbench.hooks.registry import one_line
from sslbench.measure.precision import float32_arithmetic
from sslbench.plan.cell import Choice
from sslbench.store.artifacts import PretrainingFiles
from sslbench.store.pictures import OF_PRETRAINING, PicturePoint, StoredPicture, write_pictures
from sslbench.store.record import MetricValue
from sslbench.train.checkpoint import save_tensors, weights_digest
from sslbench.train.data import Splits
from sslbench.train.randomness import seed_everything


class ModelChanged(RuntimeError):
    """An evaluator changed the model that it was given."""


@dataclass(frozen=True)
class Measured:
    """What an evaluator yielded."""

    metrics: list[Metric]
    pictures: list[Picture] = field(default_factory=list)


def run_evaluator(
    evaluator: Choice[EvaluatorSpec],
    features: Extraction,
    model: TrainedModel | None,
    seed: int,
    shown: ShownImages | None = None,
) -> Measured:
    """Its metrics and pictures. Raises whatever the evaluator raises, and PluginError where metrics are not what they
    can be; pictures that cannot be kept are warned of and left out. ``model``: for one whose spec says ``uses_model``;
    ``shown``: images for pictures, which are left out without. What it changes for the whole process is put back and
    warned of. Features are lent as copies: what it does to them reaches no other evaluator. Its own float32 arithmetic
    is IEEE's in every precision of the run."""
    built = evaluator.build(BuildContext(classes=features.classes, seed=seed))
    seed_everything(seed, "evaluate")
    exposed = model if evaluator.spec.uses_model else None
    headline = evaluator.spec.ranked_by(evaluator.params)
    data = EvaluationData(copy_of(features.train), copy_of(features.test), features.classes, seed, exposed, shown)
    with put_back(random_states=False) as changed, float32_arithmetic():
        yielded = all_that_can_be_shown(built.evaluate(data), evaluator.spec.label)
    if changed:
        warnings.warn(f"{evaluator.spec.label} changed {', '.join(changed)}, put back", stacklevel=2)
    metrics = [item for item in yielded if not isinstance(item, Picture)]
    if mistakes := metric_mistakes(metrics, len(features.test.features), headline):
        raise PluginError(*(f"{evaluator.spec.label}: {line}" for line in mistakes))
    return Measured(metrics, to_keep([item for item in yielded if isinstance(item, Picture)], evaluator.spec.label))


def to_keep(pictures: Sequence[Picture], label: str) -> list[Picture]:
    """Those that can be kept; a warning for each of the others."""
    kept: list[Picture] = []
    for picture in pictures:
        mistakes = picture_mistakes([*kept, picture])
        for line in mistakes:
            warnings.warn(f"{label}: {line}; it is left out", stacklevel=3)
        kept += [] if mistakes else [picture]
    return kept


def all_that_can_be_shown(yielded: Iterable[Metric | Picture], label: str) -> list[Metric | Picture]:
    """Everything, or what came before a picture could not be drawn, which is warned of: images for it cannot be read,
    or whatever is raised once there was a picture, since all metrics come before the first."""
    items: list[Metric | Picture] = []
    try:
        items.extend(yielded)
    except ImagesUnreadable as error:
        warnings.warn(f"{label} draws no more pictures: {error}", stacklevel=3)
    except Exception as error:
        if not any(isinstance(item, Picture) for item in items):
            raise
        warnings.warn(f"{label} draws no more pictures: {one_line(error)}", stacklevel=3)
    return items


def copy_of(features: FeatureSet) -> FeatureSet:
    """The same in memory of its own."""
    labels = None if features.labels is None else features.labels.clone()
    return FeatureSet(features.features.clone(), labels, {name: t.clone() for name, t in features.factors.items()})


@contextmanager
def guarded(model: TrainedModel | None, evaluator: str) -> Iterator[None]:
    """Raises ModelChanged at the end where ``evaluator`` changed the model meanwhile, also where it failed."""
    before = weights_digest(model.method) if model else ""

    def check() -> None:
        if model and weights_digest(model.method) != before:
            raise ModelChanged(f"{evaluator} changed the model that it evaluates")

    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:
        check()
        raise
    check()


@dataclass(frozen=True)
class CurveEvaluation:
    """Evaluates one point of a curve; what an evaluator fails to measure is None with a reason."""

    evaluators: Sequence[Choice[EvaluatorSpec]]
    data: Splits
    seed: int
    model: Callable[[], TrainedModel]
    """the method as it is when called, in eval mode"""
    warn: Callable[[str], None]

    def __call__(self) -> dict[str, MetricValue]:
        """Metrics by name. Raises ModelChanged where an evaluator changed what is being trained."""
        model = self.model()
        values: dict[str, MetricValue] = {}
        exposed = model if any(evaluator.spec.uses_model for evaluator in self.evaluators) else None
        names = ", ".join(evaluator.name for evaluator in self.evaluators)
        with guarded(exposed, f"an evaluator of the curve ({names})"):
            method = model.method
            features = extract_all(method.encoder, self.data, model.device, model.precision, method.input_spec)
            for evaluator in self.evaluators:
                for metric in self._metrics(evaluator, features, model):
                    name = f"{metric.name} ({evaluator.name})" if metric.name in values else metric.name
                    values[name] = replace(metric_value(metric), evaluator=evaluator.name)
        return values

    def _metrics(self, evaluator: Choice[EvaluatorSpec], features: Extraction, model: TrainedModel) -> list[Metric]:
        try:
            return run_evaluator(evaluator, features, model, self.seed).metrics
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            reason = one_line(error)
            self.warn(f"curve: evaluator {evaluator.name!r}: {reason}")
            headline = evaluator.spec.ranked_by(evaluator.params) or evaluator.name
            return [Metric(headline, None, reason=reason)]


def metric_value(metric: Metric) -> MetricValue:
    """The metric as a record has it, in Python's own types; a value that is not finite becomes None with a reason."""
    value, reason = finite(metric.value), metric.reason
    if value is None and metric.value is not None:
        reason = reason or f"the evaluator returned {metric.value}"
    n = None if metric.n is None else int(metric.n)
    return MetricValue(value, metric.unit, metric.higher_is_better, finite(metric.std), n, reason or None)


def finite(value: float | None) -> float | None:
    """``value`` as a Python float, None where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(value)


def save_pictures(files: PretrainingFiles, cell: str | None, pictures: Iterable[Picture]) -> None:
    """Store pictures of a cell in the place of those that it had; ``cell`` None: of the pretraining. Raises OSError
    where they cannot be written, PluginError for what is no picture that can be kept."""
    kept = list(pictures)
    if mistakes := picture_mistakes(kept):
        raise PluginError(*mistakes)
    write_pictures(files, OF_PRETRAINING if cell is None else cell, [stored_picture(picture) for picture in kept])


def stored_picture(picture: Picture) -> StoredPicture:
    """The picture as files have it."""
    points = picture.points
    if points is None:
        return StoredPicture(picture.name, picture.caption, png_of(picture.image))
    triples = zip(points.xy.tolist(), points.labels, points.thumbnails, strict=True)
    stored = tuple(PicturePoint(x, y, str(label), png_of(image)) for (x, y), label, image in triples)
    return StoredPicture(picture.name, picture.caption, png_of(picture.image), stored)


def save_per_image(path: Path, metrics: Iterable[Metric]) -> None:
    """Store ``[N]`` of each metric that has it: uint8 where all images are right (1) or wrong (0), else float16. Raises
    OSError where it cannot be written."""
    tensors = {}
    for metric in metrics:
        if metric.per_image is not None and metric.value is not None:
            values = metric.per_image.detach().cpu().float()
            binary = bool(((values == 0) | (values == 1)).all())
            tensors[metric.name] = values.to(torch.uint8 if binary else torch.float16)
    if tensors:
        save_tensors(path, tensors, {})
    else:
        path.unlink(missing_ok=True)
