"""k-nearest neighbours (kNN) by cosine, weighted by exp(cosine / T); no training.

Protocols differ in k and T and their numbers are not comparable: the default is DINO's k = 20, and each published
protocol is a preset. MoCo's CIFAR-10 notebook and lightly's benchmark (``k200``) report the best epoch on test images,
and DINO the best of its four k; here it is the last epoch, and one k.

On a CPU the search is by whatever of ``inner_products`` is the quickest there, or by faiss, where that is installed
and quicker: cosines are alike to 1e-6, and so are the neighbours but where two are as near as that.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, Picture, hookimpl, param, quickest
from sslbench_plugins.blocks.pictures.neighbours import neighbours
from sslbench_plugins.blocks.probes.evaluable import accuracies, features_and_labels, unmeasured, why_not_comparable
from sslbench_plugins.blocks.probes.inner_products import (
    Bank,
    Precision,
    Product,
    quickest_product,
    sample,
    unit,
)

SIMILARITIES = 1 << 25
"""similarities in memory at once: 128 MiB of float32"""
FEWEST_QUERIES = 512
"""queries at once; fewer make the matrix product slow, so longer banks are searched part by part"""
SAMPLE, SAMPLE_K = (16_384, 512, 256), 20
"""rows, width and queries of the search that is measured, and its k"""
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
    product = quickest_product(bank, len(queries), precision)
    if product and (faiss := installed_faiss()):
        task = f"nearest neighbours, faiss {faiss.__version__}, products of {product}"
        if quickest(task, ("products", "faiss"), partial(sample_search, product)) == "faiss":
            return nearest_by_faiss(bank, queries, k)
    return nearest_by_products(bank, queries, k, precision, product)


def nearest_by_products(
    bank: Tensor, queries: Tensor, k: int, precision: Precision = "fp32", product: Product | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """``nearest``, all products of a chunk first; ``product`` as ``Bank`` takes it."""
    longest = max(k, SIMILARITIES // FEWEST_QUERIES)
    bank_parts = [Bank(rows, precision, product) for rows in torch.split(bank, longest)]
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
            values, best = top(values, k)
            rows = rows.gather(1, best)
        yield values, rows


@cache
def installed_faiss() -> Any:
    """The module, or None. Linux only: elsewhere its OpenMP and torch's end the process where they meet."""
    if sys.platform != "linux":
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its wrappers, which are older than the Python they are imported by
            import faiss
    except Exception:  # a build that does not fit the processor or NumPy
        return None
    return faiss


def nearest_by_faiss(bank: Tensor, queries: Tensor, k: int) -> Iterator[tuple[Tensor, Tensor]]:
    """``nearest`` of float32 on a CPU, with torch's number of threads."""
    faiss = installed_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(torch.get_num_threads())
    try:
        found = faiss.knn(queries.numpy(), bank.numpy(), k, metric=faiss.METRIC_INNER_PRODUCT)
    finally:
        faiss.omp_set_num_threads(before)
    yield torch.from_numpy(found[0]), torch.from_numpy(found[1])


def sample_search(product: Product, way: str) -> Callable[[], object]:
    """A search to measure, by ``faiss`` or else by ``products``, without what is done once for all queries."""
    rows, queries = sample(*SAMPLE)
    if way == "faiss":
        return lambda: list(nearest_by_faiss(rows, queries, SAMPLE_K))
    bank = Bank(rows, product=product)
    buffer = bank.buffer(len(queries))
    return lambda: largest(bank.products(queries, buffer), SAMPLE_K)


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``values.topk(k, sorted=False)`` of ``[m, N]``, two to three times as fast where N is far above k.

    The columns are dealt into groups of ``GROUP``. The k largest values are in the k groups with the largest maxima
    (else k groups would each hold a larger one), which are found in the same way; only their members are compared.
    """
    columns = values.shape[1]
    if columns < 2 * GROUP * k:
        return top(values, k)
    groups = columns // GROUP
    dealt = torch.unflatten(values[:, : groups * GROUP], 1, (GROUP, groups))
    _, best = largest(dealt.amax(dim=1), k)
    members = torch.arange(0, groups * GROUP, groups, device=values.device)
    left_over = torch.arange(groups * GROUP, columns, device=values.device).expand(len(values), -1)
    candidates = torch.cat([(best[:, :, None] + members).flatten(1), left_over], dim=1)
    found, best = top(values.gather(1, candidates), k)
    return found, candidates.gather(1, best)


def top(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``values.topk(k, sorted=False)`` of ``[m, N]``. On a CPU NumPy takes a third of torch's time."""
    if values.device.type != "cpu" or values.dtype == torch.bfloat16:
        found = values.topk(k, dim=1, sorted=False)
        return found.values, found.indices
    columns = torch.from_numpy(np.argpartition(values.numpy(), -k, axis=1)[:, -k:])
    return values.gather(1, columns), columns


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
