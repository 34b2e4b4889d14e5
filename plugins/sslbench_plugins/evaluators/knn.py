"""k-nearest neighbours (kNN) by cosine, weighted by exp(cosine / T); no training.

Protocols differ in k and T and their numbers are not comparable: the default is DINO's k = 20, and each published
protocol is a preset. MoCo's CIFAR-10 notebook and lightly's benchmark (``k200``) report the best epoch on test images,
and DINO the best of its four k; here it is the last epoch, and one k.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, Picture, hookimpl, param
from sslbench_plugins.blocks.pictures.neighbours import neighbours
from sslbench_plugins.blocks.probes.evaluable import accuracies, features_and_labels, unmeasured, why_not_comparable
from sslbench_plugins.blocks.probes.inner_products import Bank, Precision, unit

SIMILARITIES = 1 << 23
"""similarities in memory at once: 32 MiB of float32"""
FEWEST_QUERIES = 128
"""queries at once; fewer make the matrix product slow, so longer banks are searched part by part"""
GROUP = 8
"""columns whose maximum is taken before the search for the largest; 4 and 16 were no faster"""
VOTE_UNIT = 1 << 40
"""votes are whole multiples of 1 / VOTE_UNIT, so that their sum does not depend on the order of adding"""
TOP1 = "knn_top1"


class KnnParams(Params):
    """How many neighbours vote, and with which weights."""

    k: int = param(20, "neighbours that vote; all training images where there are fewer", ge=1)
    temperature: float = param(0.07, "T of the weight exp(cosine / T)", gt=0)
    precision: Precision = param(
        "fp32",
        "of the cosines; bf16 rounds them to 0.4% and takes a third to half of the time on processors that have it",
    )


class Knn:
    """Training features are the bank; every test image is a query."""

    def __init__(self, params: KnnParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> Iterator[Metric | Picture]:
        reason = why_not_comparable(data)
        if reason:
            yield from unmeasured([TOP1], reason)
            return
        features, labels = features_and_labels(data.train)
        queries, true = features_and_labels(data.test)
        near = nearest(unit(features), unit(queries), min(self.params.k, len(features)), self.params.precision)
        votes = [vote(cosines, labels[rows], data.classes, self.params.temperature) for cosines, rows in near]
        yield from accuracies(TOP1, (torch.cat(votes) == true).float(), true)
        yield from neighbours(data)


def vote(similarity: Tensor, labels: Tensor, classes: int, temperature: float) -> Tensor:
    """The class with the largest sum of ``exp(similarity / temperature)``; the lower of two that are equal.

    ``similarity`` float ``[m, k]``; ``labels`` int64 ``[m, k]``. Returns int64 ``[m]``.
    """
    similarity = similarity.double()
    weights = ((similarity - similarity.amax(dim=1, keepdim=True)) / temperature).exp()
    votes = torch.zeros(len(labels), classes, dtype=torch.int64, device=labels.device)
    return votes.scatter_add_(1, labels, (weights * VOTE_UNIT).long()).argmax(dim=1)


def nearest(bank: Tensor, queries: Tensor, k: int, precision: Precision = "fp32") -> Iterator[tuple[Tensor, Tensor]]:
    """The k rows of ``bank`` with the largest inner product to each query, chunk after chunk of the queries.

    ``bank`` ``[N, D]``, ``queries`` ``[M, D]``, k <= N. Yields products ``[m, k]``, in no order, and their int64
    rows ``[m, k]``. The memory is a copy of the bank and one chunk of at most ``SIMILARITIES`` similarities.
    """
    longest = max(k, SIMILARITIES // FEWEST_QUERIES)
    bank_parts = [Bank(rows, precision) for rows in torch.split(bank, longest)]
    chunk = max(FEWEST_QUERIES, SIMILARITIES // len(bank_parts[0]))
    buffer = bank_parts[0].buffer(min(chunk, len(queries)))
    for some_queries in torch.split(queries, chunk):
        candidates = []
        for number, bank_part in enumerate(bank_parts):
            fits = len(bank_part) == buffer.shape[1]
            products = bank_part.products(some_queries, buffer if fits else bank_part.buffer(len(some_queries)))
            values, rows = largest(products, min(k, len(bank_part)))
            candidates.append((values, rows + number * longest))
        values, rows = (torch.cat(parts, dim=1) for parts in zip(*candidates, strict=True))
        if len(bank_parts) > 1:
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
        top = values.topk(k, dim=1, sorted=False)
        return top.values, top.indices
    groups = columns // GROUP
    dealt = torch.unflatten(values[:, : groups * GROUP], 1, (GROUP, groups))
    _, best = largest(dealt.amax(dim=1), k)
    members = torch.arange(0, groups * GROUP, groups, device=values.device)
    left_over = torch.arange(groups * GROUP, columns, device=values.device).expand(len(values), -1)
    candidates = torch.cat([(best[:, :, None] + members).flatten(1), left_over], dim=1)
    top = values.gather(1, candidates).topk(k, dim=1, sorted=False)
    return top.values, candidates.gather(1, top.indices)


DINO = {f"dino-{k}": {"k": k, "temperature": 0.07} for k in (10, 20, 100, 200)}
K200 = {"k": 200, "temperature": 0.1}


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="knn",
            params=KnnParams,
            presets={"dino": DINO["dino-20"], **DINO, "k200": K200, "moco": K200, "lightly": K200},
            build=lambda params, context: Knn(params),
            headline=TOP1,
            citation="Wu et al. 2018, Instance Discrimination, section 3.4 (the weighted vote);"
            " Caron et al. 2021, DINO, appendix and eval_knn.py (k 10, 20, 100, 200, T 0.07);"
            " He et al. 2020, MoCo, CIFAR-10 notebook, and lightly's benchmark (k 200, T 0.1)",
        )
    ]
