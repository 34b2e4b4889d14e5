"""Evaluators and data sets: metrics that are numbers, and splits that hold what their spec promises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from sslbench.contracts.dataset import Dataset, DatasetSpec, Split
from sslbench.contracts.evaluator import EvaluationData, EvaluatorSpec, FeatureSet, Metric
from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.testing.conformance.problem import Problems
from sslbench.testing.fakes import blobs, evaluated_scenes
from sslbench.train.checkpoint import weights_digest


def of_evaluator(spec: Spec, params: Any) -> Problems:
    """Metrics of features that are easy to tell apart; twice, and what must be left as it was."""
    assert isinstance(spec, EvaluatorSpec)
    data = evaluated_scenes() if spec.uses_model else blobs(per_class=40)
    features = data.train.features.clone()
    weights = weights_digest(data.model.method) if data.model else ""
    metrics = list(spec.build(params, BuildContext()).evaluate(data))
    yield from metric_problems(metrics)
    if not torch.equal(features, data.train.features):
        yield "it changed the features, which other evaluators share"
    if data.model and weights_digest(data.model.method) != weights:
        yield "it changed the model, which other evaluators share"
    again = {metric.name: metric.value for metric in spec.build(params, BuildContext()).evaluate(data)}
    if again != {metric.name: metric.value for metric in metrics}:
        yield "not the same for the same features and seed"
    if spec.ranked_by(params) not in again:
        yield f"its headline {spec.ranked_by(params)!r} is none of its metrics: {', '.join(again)}"
    if not spec.uses_model:
        yield from nan_problems(spec, params, data)


def metric_problems(metrics: Sequence[Metric]) -> Problems:
    """Values that are not finite, or missing without a reason."""
    if not metrics:
        yield "it yields no metric"
    for metric in metrics:
        if metric.value is not None and not math.isfinite(metric.value):
            yield f"{metric.name} is {metric.value}; what cannot be measured is None"
        if metric.value is None and not metric.reason:
            yield f"{metric.name} is None without a reason"


def nan_problems(spec: EvaluatorSpec, params: Any, data: EvaluationData) -> Problems:
    """A metric of features that are not numbers must be None."""
    broken = FeatureSet(torch.full_like(data.train.features, math.nan), data.train.labels, data.train.factors)
    for metric in spec.build(params, BuildContext()).evaluate(EvaluationData(broken, broken, data.classes, data.seed)):
        if metric.value is not None:
            yield f"{metric.name} is {metric.value} for features that are not numbers; it must be None with a reason"


def of_dataset(spec: Spec, params: Any) -> Problems:
    """Images, labels, factors and maps of both splits."""
    assert isinstance(spec, DatasetSpec)
    if spec.fingerprint(params) != spec.fingerprint(params):
        yield "the fingerprint changes from call to call"
    dataset = spec.build(params, BuildContext())
    if not isinstance(dataset, Dataset):
        yield "build must return an object with split, classes, image_size, mean and std"
        return
    provided = spec.provided(params)
    for name in ("train", "test"):
        split = dataset.split(name)
        images = split.images[torch.arange(min(3, len(split)))]
        if images.dtype != torch.uint8 or images.shape[1:] != (3, dataset.image_size, dataset.image_size):
            yield f"{name}: images are {images.dtype} {list(images.shape)}, not uint8 [B, 3, S, S] of its image_size"
        if "labels" in provided:
            yield from label_problems(split, len(dataset.classes), name)
        yield from promise_problems(provided, split, name)
        yield from factor_problems(split, name)
        yield from map_problems(split, dataset.image_size, name)


def label_problems(split: Split, classes: int, name: str) -> Problems:
    """Dtype, number and range of the labels."""
    labels = split.labels
    if labels is None or labels.dtype != torch.int64 or len(labels) != len(split):
        yield f"{name}: labels must be int64 [{len(split)}]"
    elif len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        yield f"{name}: labels are not within 0..{classes - 1}"


def promise_problems(provided: frozenset[str], split: Split, name: str) -> Problems:
    """Factors and maps that the spec promises and those that are there are the same."""
    promised = provided - {"labels", "factors"}
    if promised != set(split.maps):
        yield f"{name}: maps {sorted(split.maps)}, but it provides {sorted(promised)}"
    if ("factors" in provided) != bool(split.factors):
        yield f"{name}: {len(split.factors)} factors, but it provides {sorted(provided)}"


def factor_problems(split: Split, name: str) -> Problems:
    """Dtype and shape of the factors."""
    for factor, values in split.factors.items():
        if values.shape != (len(split),) or values.dtype not in (torch.int64, torch.float32):
            actual = f"{values.dtype} {list(values.shape)}"
            yield f"{name}: factor {factor!r} is {actual}, not int64 or float32 [{len(split)}]"


def map_problems(split: Split, size: int, name: str) -> Problems:
    """Dtype, shape and number of the maps."""
    for title, reader in split.maps.items():
        maps = reader[torch.arange(min(3, len(split)))]
        expected = {"mask": torch.uint8, "depth": torch.float32}.get(title, maps.dtype)
        if maps.shape[1:] != (size, size) or maps.dtype != expected or len(reader) != len(split):
            yield f"{name}: map {title!r} is {maps.dtype} {list(maps.shape)}, not {expected} [B, {size}, {size}]"
