"""k nearest neighbours by cosine, weighted by exp(cosine / T); no training.

Protocols differ in k and T and their figures are not comparable: the default is DINO's k = 20, and each published
protocol is a preset. MoCo's CIFAR-10 notebook and lightly's benchmark (``k200``) report the best epoch on test images,
and DINO the best of its four k; here it is the last epoch, and the k that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import features_and_labels, why_not_comparable, why_not_evaluable
from sslbench_plugins.blocks.probes.inner_products import Bank, Precision, unit

SIMILARITIES = 1 << 23
"""similarities held at once: 32 MiB of float32"""
FEWEST_QUERIES = 128
"""queries at once; fewer make the matrix product slow, so longer banks are searched shelf by shelf"""
GROUP = 8
"""columns whose maximum is taken before the search for the largest; 4 and 16 were no faster"""
VOTE_UNIT = 1 << 40
"""votes are whole multiples of 1 / VOTE_UNIT, so that their sum does not depend on the order of adding"""


class KnnParams(Params):
    k: int = param(20, "neighbours that vote; all training images where there are fewer", ge=1)
    temperature: float = param(0.07, "T of the weight exp(cosine / T)", gt=0)
    precision: Literal["fp32", "bf16"] = param(
        "fp32",
        "of the cosines; bf16 rounds them to 0.4% and takes a third to half of the time on processors that have it",
    )


def nearest(bank: Tensor, queries: Tensor, k: int, precision: Precision = "fp32") -> Iterator[tuple[Tensor, Tensor]]:
    """The k rows of ``bank`` with the largest inner product to each query, chunk after chunk of the queries.

    ``bank`` ``[N, D]``, ``queries`` ``[M, D]``, k <= N. Yields products ``[m, k]``, in no order, and their int64
    rows ``[m, k]``. The memory is a copy of the bank and one chunk of at most ``SIMILARITIES`` similarities.
    """
    longest = max(k, SIMILARITIES // FEWEST_QUERIES)
    shelves = [Bank(part, precision) for part in bank.split(longest)]
    chunk = max(FEWEST_QUERIES, SIMILARITIES // len(shelves[0]))
    room = shelves[0].buffer(min(chunk, len(queries)))
    for part in queries.split(chunk):
        found = []
        for place, shelf in enumerate(shelves):
            products = shelf.products(part, room if len(shelf) == room.shape[1] else shelf.buffer(len(part)))
            values, rows = largest(products, min(k, len(shelf)))
            found.append((values, rows + place * longest))
        values, rows = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        if len(shelves) > 1:
            values, best = values.topk(k, dim=1, sorted=False)
            rows = rows.gather(1, best)
        yield values, rows


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``values.topk(k, sorted=False)`` of ``[m, N]``, two to three times as fast where N is far above k.

    The columns are dealt into groups of ``GROUP``. The k largest values are in the k groups with the largest maxima
    (else k groups would each hold a larger one), which are found in the same way; only their members are compared.
    """
    columns = values.shape[1]
    if columns < 2 * GROUP * k:
        return values.topk(k, dim=1, sorted=False)
    groups = columns // GROUP
    dealt = values[:, : groups * GROUP].unflatten(1, (GROUP, groups))
    _, best = largest(dealt.amax(dim=1), k)
    members = torch.arange(0, groups * GROUP, groups, device=values.device)
    left_over = torch.arange(groups * GROUP, columns, device=values.device).expand(len(values), -1)
    candidates = torch.cat([(best[:, :, None] + members).flatten(1), left_over], dim=1)
    found, at = values.gather(1, candidates).topk(k, dim=1, sorted=False)
    return found, candidates.gather(1, at)


def vote(similarity: Tensor, labels: Tensor, classes: int, temperature: float) -> Tensor:
    """The class with the largest sum of ``exp(similarity / temperature)``; the lower of two that are equal.

    ``similarity`` float ``[m, k]``; ``labels`` int64 ``[m, k]``. Answers int64 ``[m]``.
    """
    similarity = similarity.double()
    weights = ((similarity - similarity.amax(dim=1, keepdim=True)) / temperature).exp()
    votes = torch.zeros(len(labels), classes, dtype=torch.int64, device=labels.device)
    return votes.scatter_add_(1, labels, (weights * VOTE_UNIT).long()).argmax(dim=1)


class Knn:
    """Training features are the bank; every test image asks it."""

    def __init__(self, params: KnnParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data) or why_not_comparable(data)
        if reason:
            return [Metric("knn_top1", None, reason=reason)]
        right = (self._predicted(data) == features_and_labels(data.test)[1]).float()
        return [Metric("knn_top1", float(right.double().mean()), per_image=right)]

    def _predicted(self, data: EvaluationData) -> Tensor:
        params, labels = self.params, features_and_labels(data.train)[1]
        bank, queries = unit(data.train.features), unit(data.test.features)
        found = nearest(bank, queries, min(params.k, len(bank)), params.precision)
        return torch.cat([vote(s, labels[i], data.classes, params.temperature) for s, i in found])


DINO = {f"dino-{k}": {"k": k, "temperature": 0.07} for k in (10, 20, 100, 200)}
K200 = {"k": 200, "temperature": 0.1}


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="knn",
            summary=__doc__.partition("\n")[0],
            params=KnnParams,
            presets={"dino": DINO["dino-20"], **DINO, "k200": K200, "moco": K200, "lightly": K200},
            build=lambda params, context: Knn(params),
            headline="knn_top1",
            citation="Wu et al. 2018, Instance Discrimination, section 3.4 (the weighted vote);"
            " Caron et al. 2021, DINO, appendix and eval_knn.py (k 10, 20, 100, 200, T 0.07);"
            " He et al. 2020, MoCo, CIFAR-10 notebook, and lightly's benchmark (k 200, T 0.1)",
        )
    ]
