"""Image retrieval by cosine: do the nearest images show the same class? Mean average precision, precision at k.

Nothing is trained. Every test image is a query; what it is to find are the training images of its class, or, leaving
itself out, the other test images of its class (``among=test``). Equal cosines share their ranks, as in scikit-learn's
``average_precision_score``: no number depends on the order of the images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, FeatureSet, Metric, Params, Picture, hookimpl, param
from sslbench_plugins.blocks.pictures.neighbours import neighbours
from sslbench_plugins.blocks.probes.evaluable import features_and_labels, unmeasured, why_all_equal, why_not_comparable
from sslbench_plugins.blocks.probes.inner_products import Bank, Precision, quickest_product, unit
from sslbench_plugins.blocks.probes.samples import class_counts, each_once
from sslbench_plugins.blocks.studies.listed import Several

SIMILARITIES = 1 << 23
"""similarities in memory at once: 32 MiB of float32"""
FEWEST_QUERIES = 64
"""queries at once at the least; fewer make the matrix product slow"""
MAP = "retrieval_map"


class RetrievalParams(Params):
    """What is searched, and how many of the nearest images count."""

    k: Annotated[tuple[Annotated[int, Field(ge=1, strict=True)], ...], Several, each_once("k")] = param(
        (1, 10), "precision among the k nearest, a+b+c, one metric for each"
    )
    among: Literal["train", "test"] = param(
        "train", "what is searched: the training images, or the test images without the query itself"
    )
    precision: Precision = param("fp32", "of the cosines; bf16 rounds them to 0.4%")


class Retrieval:
    """Searches class by class, a chunk of queries at a time: never all similarities at once."""

    def __init__(self, params: RetrievalParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> Iterator[Metric | Picture]:
        reason = why_not_comparable(data) or self._why_nothing_to_find(data)
        if reason:
            yield from unmeasured([MAP, *map(precision_name, self.params.k)], reason)
            return
        searched, skip = (data.train, 0) if self.params.among == "train" else (data.test, 1)
        images = len(searched.features) - skip
        possible = tuple(k for k in self.params.k if k <= images)
        scores = search(searched, data.test, data.classes, possible, skip, self.params.precision)
        by_k = dict(zip(possible, scores[1:], strict=True))
        yield _mean(MAP, scores[0])
        yield from (_precision_at(k, by_k.get(k), images) for k in self.params.k)
        yield from neighbours(data, self.params.among)

    def _why_nothing_to_find(self, data: EvaluationData) -> str:
        """A query without a single image of its class has no average precision."""
        queries = class_counts(features_and_labels(data.test)[1], data.classes)
        if self.params.among == "train":
            lacking = (queries > 0) & (class_counts(features_and_labels(data.train)[1], data.classes) == 0)
            return _why_lacking(lacking, "no training image")
        return why_all_equal("test", data.test.features) or _why_lacking(queries == 1, "no other test image")


def _mean(name: str, values: Tensor) -> Metric:
    return Metric(name, float(values.mean()), per_image=values.float())


def _precision_at(k: int, values: Tensor | None, images: int) -> Metric:
    if values is not None:
        return _mean(precision_name(k), values)
    return Metric(precision_name(k), None, reason=f"there are only {images} images to find, fewer than {k}")


def _why_lacking(lacking: Tensor, what: str) -> str:
    """A line where a class, of bool ``[C]``, lacks ``what``."""
    classes = lacking.nonzero().flatten().tolist()
    others = f" (and {len(classes) - 1} more classes)" if len(classes) > 1 else ""
    return f"class {classes[0]}{others} is searched for and has {what}" if classes else ""


def precision_name(k: int) -> str:
    """Of the metric."""
    return f"retrieval_precision@{k}"


def search(
    searched: FeatureSet, queries: FeatureSet, classes: int, k: tuple[int, ...], skip: int, precision: Precision
) -> Tensor:
    """float64 ``[1 + len(k), M]``: ``ranked`` of M queries. ``skip`` 1: both are the same, and none finds itself."""
    features, labels = features_and_labels(searched)
    query_features, query_labels = unit(queries.features), features_and_labels(queries)[1]
    rows = unit(features)
    bank = Bank(rows, precision, quickest_product(rows, len(query_labels), precision))
    chunk = max(FEWEST_QUERIES, SIMILARITIES // len(bank))
    buffer = bank.buffer(min(chunk, len(query_labels)))
    scores = torch.empty(1 + len(k), len(query_labels), dtype=torch.float64, device=query_labels.device)
    for label, rows in by_class(query_labels, classes, chunk):
        similarity = bank.products(query_features[rows], buffer).float()
        if skip:
            similarity.scatter_(1, rows[:, None], -torch.inf)
        scores[:, rows] = ranked(similarity, labels == label, k, skip)
    return scores


def by_class(labels: Tensor, classes: int, most: int) -> Iterator[tuple[int, Tensor]]:
    """Each class that is there, and rows that are of it: int64, ``most`` at a time, on the labels' device."""
    order = labels.argsort(stable=True)
    counts: list[int] = class_counts(labels, classes).tolist()
    for label, rows in enumerate(torch.split(order, counts)):
        for part in torch.split(rows, most) if len(rows) else ():
            yield label, part


def ranked(similarity: Tensor, relevant: Tensor, k: tuple[int, ...], skip: int = 0) -> Tensor:
    """float64 ``[1 + len(k), m]``: average precision, then precision at each k, of queries that look for the same.

    ``similarity`` float32 ``[m, N]``; ``relevant`` bool ``[N]``, more than ``skip`` of them True; each k at most
    N - ``skip``. The ``skip`` lowest similarities of each row, of relevant images, are left out of everything.

    Average precision is the mean, over the relevant images, of the share that is relevant among all that are at least
    as similar. Where equal similarities meet at rank k, precision at k is its mean over their orders.
    """
    all_sorted = ascending(similarity)[:, skip:].contiguous()
    relevant_sorted = ascending(similarity[:, relevant])[:, skip:].contiguous()
    # Of the relevant ones, and of all: how many are at least as similar as each relevant image.
    relevant_above = relevant_sorted.shape[1] - first_of_equals(relevant_sorted)
    all_above = all_sorted.shape[1] - count_lower(all_sorted, relevant_sorted)
    scores = [(relevant_above.double() / all_above).mean(dim=1)]
    for rank in k:
        level = all_sorted[:, -rank, None].contiguous()
        above, equal = _above_and_equal(all_sorted, level)
        hits, equal_hits = _above_and_equal(relevant_sorted, level)
        scores.append((hits + (rank - above).double() * equal_hits / equal)[:, 0] / rank)
    return torch.stack(scores)


def _above_and_equal(values: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """How many of ascending ``[m, N]`` are greater than ``level`` ``[m, 1]``, and how many equal to it."""
    above = values.shape[1] - torch.searchsorted(values, level, right=True)
    return above, values.shape[1] - torch.searchsorted(values, level) - above


def ascending(values: Tensor) -> Tensor:
    """Rows of float32 ``[m, N]``, sorted. On a CPU numpy takes a thirtieth of torch's time, which sorts indices too."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=1))
    return values.sort(dim=1).values


def first_of_equals(values: Tensor) -> Tensor:
    """int64 ``[m, R]``: where the run of equals of each of ascending ``[m, R]`` begins."""
    begins = torch.ones_like(values, dtype=torch.bool)
    begins[:, 1:] = values[:, 1:] != values[:, :-1]
    return torch.where(begins, torch.arange(values.shape[1], device=values.device), 0).cummax(dim=1).values


def count_lower(values: Tensor, keys: Tensor) -> Tensor:
    """int64 ``[m, R]``: how many of ascending ``[m, N]`` are lower than each of ascending ``[m, R]``."""
    if values.device.type == "cpu":
        # Keys in order are looked up from where the last one was: half of the time of torch.searchsorted.
        rows = zip(values.numpy(), keys.numpy(), strict=True)
        return torch.from_numpy(np.stack([np.searchsorted(row, row_keys) for row, row_keys in rows]))
    return torch.searchsorted(values, keys)


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="retrieval",
            params=RetrievalParams,
            build=lambda params, context: Retrieval(params),
            headline=MAP,
            citation="Manning, Raghavan and Schuetze 2008, Introduction to Information Retrieval, section 8.4 (average"
            " precision, precision at k); Caron et al. 2021, DINO, section 4.2.1 (retrieval from frozen features)",
        )
    ]
