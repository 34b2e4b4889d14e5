"""Do the nearest images by cosine show the same class? Mean average precision and precision at k; no training.

Every test image is a query; what it is to find are the training images of its class, or, leaving itself out, the other
test images of its class (``among=test``). Equal cosines share their ranks, as in scikit-learn's
``average_precision_score``: no figure depends on the order of the images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, FeatureSet, Metric, Params, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import (
    features_and_labels,
    why_all_equal,
    why_not_comparable,
    why_not_evaluable,
)
from sslbench_plugins.blocks.probes.inner_products import Bank, Precision, unit
from sslbench_plugins.blocks.probes.stratified import class_counts
from sslbench_plugins.blocks.studies.listed import Several

SIMILARITIES = 1 << 23
"""similarities held at once: 32 MiB of float32"""
FEWEST_QUERIES = 64
"""queries at once at the least; fewer make the matrix product slow"""


class RetrievalParams(Params):
    k: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Several] = param(
        (1, 10), "precision among the k nearest, a+b+c, one metric for each"
    )
    among: Literal["train", "test"] = param(
        "train", "what is searched: the training images, or the test images without the query itself"
    )
    precision: Literal["fp32", "bf16"] = param("fp32", "of the cosines; bf16 rounds them to 0.4%")

    @field_validator("k")
    @classmethod
    def _each_once(cls, k: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(k)) < len(k):
            raise ValueError("name each k once")
        return k


def ranked(similarity: Tensor, relevant: Tensor, k: tuple[int, ...], skip: int = 0) -> Tensor:
    """float64 ``[1 + len(k), m]``: average precision, then precision at each k, of queries that look for the same.

    ``similarity`` float32 ``[m, N]``; ``relevant`` bool ``[N]``, more than ``skip`` of them True; each k at most
    N - ``skip``. The ``skip`` lowest similarities of each row, of relevant images, are left out of everything.

    Average precision is the mean, over the relevant images, of the share that is relevant among all that are at least
    as similar. Where equal similarities meet at rank k, precision at k is its mean over their orders.
    """
    every, hits = ascending(similarity)[:, skip:], ascending(similarity[:, relevant])[:, skip:]
    every, hits = every.contiguous(), hits.contiguous()
    # Of the relevant ones, and of all: how many are at least as similar as each relevant image.
    relevant_above = hits.shape[1] - first_of_equals(hits)
    all_above = every.shape[1] - lower(every, hits)
    found = [(relevant_above.double() / all_above).mean(dim=1)]
    for rank in k:
        level = every[:, -rank, None].contiguous()
        (above, equal), (right, ties) = (_above_and_equal(values, level) for values in (every, hits))
        found.append((right + (rank - above).double() * ties / equal)[:, 0] / rank)
    return torch.stack(found)


def _above_and_equal(values: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """How many of ascending ``[m, N]`` are greater than ``level`` ``[m, 1]``, and how many equal to it."""
    above = values.shape[1] - torch.searchsorted(values, level, right=True)
    return above, values.shape[1] - torch.searchsorted(values, level) - above


def ascending(values: Tensor) -> Tensor:
    """Rows of float32 ``[m, N]``, sorted. On a CPU numpy takes a thirtieth of torch's time, which sorts places too."""
    if values.device.type == "cpu":
        import numpy as np

        return torch.from_numpy(np.sort(values.numpy(), axis=1))
    return values.sort(dim=1).values


def first_of_equals(values: Tensor) -> Tensor:
    """int64 ``[m, R]``: where the run of equals of each of ascending ``[m, R]`` begins."""
    begins = torch.ones_like(values, dtype=torch.bool)
    begins[:, 1:] = values[:, 1:] != values[:, :-1]
    return torch.where(begins, torch.arange(values.shape[1], device=values.device), 0).cummax(dim=1).values


def lower(every: Tensor, hits: Tensor) -> Tensor:
    """int64 ``[m, R]``: how many of ascending ``[m, N]`` are lower than each of ascending ``[m, R]``."""
    if every.device.type == "cpu":
        import numpy as np

        # Keys in order are looked up from where the last one was: half of the time of torch.searchsorted.
        rows = zip(every.numpy(), hits.numpy(), strict=True)
        return torch.from_numpy(np.stack([np.searchsorted(row, keys) for row, keys in rows]))
    return torch.searchsorted(every, hits)


def by_class(labels: Tensor, classes: int, most: int) -> Iterator[tuple[int, Tensor]]:
    """Each class that is there, and where: int64 ``[at most most]``, on the labels' device."""
    order = labels.argsort(stable=True)
    counts = class_counts(labels, classes).tolist()
    for label, places in enumerate(order.split(counts)):
        for part in places.split(most) if len(places) else ():
            yield label, part


class Retrieval:
    """Asks class by class, a chunk of queries at a time: never all similarities at once."""

    def __init__(self, params: RetrievalParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data) or why_not_comparable(data) or self._why_nothing_to_find(data)
        if reason:
            return [Metric(name, None, reason=reason) for name in names(self.params)]
        searched, skip = (data.train, 0) if self.params.among == "train" else (data.test, 1)
        images = len(searched.features) - skip
        possible = tuple(k for k in self.params.k if k <= images)
        values = search(searched, data.test, data.classes, possible, skip, self.params.precision)
        found = dict(zip(("map", *possible), values, strict=True))
        return [self._metric(word, found.get(word), images) for word in ("map", *self.params.k)]

    @staticmethod
    def _metric(word: str | int, values: Tensor | None, images: int) -> Metric:
        if values is None:
            return Metric(_name(word), None, reason=f"there are only {images} images to find, fewer than {word}")
        return Metric(_name(word), float(values.mean()), per_image=values.float())

    def _why_nothing_to_find(self, data: EvaluationData) -> str:
        """A query without a single image of its class has no average precision."""
        asked = class_counts(features_and_labels(data.test)[1], data.classes)
        if self.params.among == "train":
            lacking = (asked > 0) & (class_counts(features_and_labels(data.train)[1], data.classes) == 0)
            where = "no training image"
        else:
            lacking, where = asked == 1, "no other test image"
            reason = why_all_equal("test", data.test.features)
            if reason:
                return reason
        missing = lacking.nonzero().flatten().tolist()
        others = f" (and {len(missing) - 1} more classes)" if len(missing) > 1 else ""
        return f"class {missing[0]}{others} is asked for and has {where}" if missing else ""


def search(
    searched: FeatureSet, asking: FeatureSet, classes: int, k: tuple[int, ...], skip: int, precision: Precision
) -> Tensor:
    """float64 ``[1 + len(k), M]``: what ``ranked`` answers for each of M images that ask.

    ``skip`` 1: both are the same images, and none finds itself.
    """
    features, answers = features_and_labels(searched)
    queries, labels = unit(asking.features), features_and_labels(asking)[1]
    bank = Bank(unit(features), precision)
    chunk = max(FEWEST_QUERIES, SIMILARITIES // len(bank))
    room = bank.buffer(min(chunk, len(labels)))
    found = torch.empty(1 + len(k), len(labels), dtype=torch.float64, device=labels.device)
    for label, places in by_class(labels, classes, chunk):
        similarity = bank.products(queries[places], room).float()
        if skip:
            similarity.scatter_(1, places[:, None], -torch.inf)
        found[:, places] = ranked(similarity, answers == label, k, skip)
    return found


def names(params: RetrievalParams) -> list[str]:
    """Of the metrics, in order."""
    return [_name(word) for word in ("map", *params.k)]


def _name(word: str | int) -> str:
    return "retrieval_map" if word == "map" else f"retrieval_precision@{word}"


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="retrieval",
            summary=__doc__.partition("\n")[0],
            params=RetrievalParams,
            build=lambda params, context: Retrieval(params),
            headline="retrieval_map",
            citation="Manning, Raghavan and Schuetze 2008, Introduction to Information Retrieval, section 8.4 (average"
            " precision, precision at k); Caron et al. 2021, DINO, section 4.2.1 (retrieval from frozen features)",
        )
    ]
