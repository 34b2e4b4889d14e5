"""Evaluators, data sets, executors and simulators: what they return is numbers, and what their spec promises."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from sslbench.contracts.dataset import Dataset, DatasetSpec, Split
from sslbench.contracts.evaluator import EvaluatorSpec, FeatureSet, Metric, Picture
from sslbench.contracts.metric_names import metric_name_mistakes
from sslbench.contracts.picture_checks import picture_mistakes
from sslbench.contracts.plugin import BuildContext
from sslbench.contracts.simulator import Simulator, SimulatorSpec
from sslbench.testing.conformance.problem import Problems
from sslbench.testing.fakes import ShownNoise, blobs, evaluated_scenes
from sslbench.train.checkpoint import weights_digest


def of_evaluator(spec: EvaluatorSpec, params: Any) -> Problems:
    """Metrics of features that are easy to tell apart; twice, and what must be left as it was."""
    data = evaluated_scenes() if spec.uses_model else replace(blobs(per_class=40), shown=ShownNoise())
    features = data.train.features.clone()
    weights = weights_digest(data.model.method) if data.model else ""
    yielded = list(spec.build(params, BuildContext()).evaluate(data))
    metrics, pictures = metrics_of(yielded), [item for item in yielded if isinstance(item, Picture)]
    if not metrics:
        yield "it yields no metric"
    yield from metric_name_mistakes(metric.name for metric in metrics)
    for metric in metrics:
        if metric.value is not None and not math.isfinite(metric.value):
            yield f"{metric.name} is {metric.value}; what cannot be measured is None"
        if metric.value is None and not metric.reason:
            yield f"{metric.name} is None without a reason"
    yield from picture_mistakes(pictures)
    if not torch.equal(features, data.train.features):
        yield "it changed the features, which other evaluators share"
    if data.model and weights_digest(data.model.method) != weights:
        yield "it changed the model, which other evaluators share"
    repeated = list(spec.build(params, BuildContext()).evaluate(data))
    again = {metric.name: metric.value for metric in metrics_of(repeated)}
    if again != {metric.name: metric.value for metric in metrics}:
        yield "not the same for the same features and seed"
    yield from (f"picture {name!r} differs for the same features and seed" for name in unlike(yielded, repeated))
    if spec.ranked_by(params) not in again:
        yield f"its headline {spec.ranked_by(params)!r} is none of its metrics: {', '.join(again)}"
    if not spec.uses_model:
        broken = FeatureSet(torch.full_like(features, math.nan), data.train.labels, data.train.factors)
        data = replace(data, train=broken, test=broken)
        for metric in metrics_of(spec.build(params, BuildContext()).evaluate(data)):
            if (value := metric.value) is not None:
                yield f"{metric.name} is {value} for features that are not numbers; it must be None with a reason"


def metrics_of(yielded: Iterable[Metric | Picture]) -> list[Metric]:
    """Without the pictures."""
    return [item for item in yielded if isinstance(item, Metric)]


def unlike(yielded: Iterable[Metric | Picture], repeated: Iterable[Metric | Picture]) -> list[str]:
    """Names of the pictures that are not the same in both."""
    first, second = ({p.name: p for p in items if isinstance(p, Picture)} for items in (yielded, repeated))
    both = first.keys() & second.keys()
    same = {
        name
        for name in both
        if torch.equal(first[name].image, second[name].image) and first[name].caption == second[name].caption
    }
    return sorted((first.keys() | second.keys()) - same)


def of_dataset(spec: DatasetSpec, params: Any) -> Problems:
    """Images, labels, factors and maps of both splits."""
    if spec.fingerprint(params) != spec.fingerprint(params):
        yield "the fingerprint changes from call to call"
    dataset = spec.build(params, BuildContext())
    if not isinstance(dataset, Dataset):
        yield "build must return an object with split, classes, image_size, mean and std"
        return
    for name in ("train", "test"):
        lines = split_problems(dataset.split(name), dataset, spec.provided(params))
        yield from (f"{name}: {line}" for line in lines)


def split_problems(split: Split, dataset: Dataset, provided: frozenset[str]) -> Problems:
    """Dtypes, shapes and ranges, and that factors and maps are those that the spec promises."""
    size, labels, count = dataset.image_size, split.labels, len(split)
    first = torch.arange(min(3, count))
    images = split.images[first]
    if images.dtype != torch.uint8 or images.shape[1:] != (3, size, size):
        yield f"images are {images.dtype} {list(images.shape)}, not uint8 [B, 3, S, S] of its image_size"
    if "labels" in provided:
        if labels is None or labels.dtype != torch.int64 or len(labels) != count:
            yield f"labels must be int64 [{count}]"
        elif count and not 0 <= int(labels.min()) <= int(labels.max()) < len(dataset.classes):
            yield f"labels are not within 0..{len(dataset.classes) - 1}"
    promised = provided - {"labels", "factors"}
    if promised != set(split.maps):
        yield f"maps {sorted(split.maps)}, but it provides {sorted(promised)}"
    if ("factors" in provided) != bool(split.factors):
        yield f"{len(split.factors)} factors, but it provides {sorted(provided)}"
    for factor, values in split.factors.items():
        if values.shape != (count,) or values.dtype not in (torch.int64, torch.float32):
            yield f"factor {factor!r} is {values.dtype} {list(values.shape)}, not int64 or float32 [{count}]"
    for title, reader in split.maps.items():
        maps = reader[first]
        expected = {"mask": torch.uint8, "depth": torch.float32}.get(title, maps.dtype)
        if maps.shape[1:] != (size, size) or maps.dtype != expected or len(reader) != count:
            yield f"map {title!r} is {maps.dtype} {list(maps.shape)}, not {expected} [B, {size}, {size}]"


def of_simulator(spec: SimulatorSpec, params: Any) -> Problems:
    """Two runs of one seed, their tables and their claims."""
    simulator = spec.build(params, BuildContext())
    if not isinstance(simulator, Simulator):
        yield "build must return an object with run(seed)"
        return
    result, again = simulator.run(0), spec.build(params, BuildContext()).run(0)
    if (result.tables, list(result.claims)) != (again.tables, list(again.claims)):
        yield "not the same for the same seed"
    if not result.tables:
        yield "returns no table"
    for name, rows in result.tables.items():
        yield from (f"table {name!r}: {line}" for line in table_problems(rows))
    for claim in result.claims:
        if not (claim.statement and claim.source and claim.expected and claim.measured):
            yield f"claim {claim.statement!r} lacks its source, what it expects or what was measured"


def table_problems(rows: Sequence[Mapping[str, Any]]) -> Problems:
    """Columns that differ, values that are not finite, values without a reason; the first of each kind."""
    if len({tuple(row) for row in rows}) > 1:
        yield "its rows do not have the same columns"
    values = [(key, value) for row in rows for key, value in row.items() if isinstance(value, float)]
    infinite = [f"{key} is {value}, not None" for key, value in values if not math.isfinite(value)]
    yield from infinite[:1]
    if not infinite and any(None in row.values() and not row.get("reason") for row in rows):
        yield "a value is None and the row's 'reason' does not say why"
