"""k nearest neighbours by cosine, weighted by exp(cosine / T); no training.

Protocols differ in k and T and their figures are not comparable: the defaults are DINO's, the preset ``k200`` is
that of MoCo's CIFAR-10 notebook and of lightly's benchmark (which report the best epoch on test images; here it is
the last).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, hookimpl, param
from sslbench_plugins.blocks.evaluable import features_and_labels, why_not_evaluable

SIMILARITIES = 1 << 23
"""similarities held at once: 32 MiB of float32"""
FEWEST_QUERIES = 64
"""queries at once at the least; fewer make the matrix product slow"""
GROUP = 8
"""columns whose maximum is taken before the search for the largest; 4 and 16 were no faster"""
VOTE_UNIT = 1 << 40
"""votes are whole multiples of 1 / VOTE_UNIT, so that their sum does not depend on the order of adding"""


class KnnParams(Params):
    k: int = param(20, "neighbours that vote; all training images where there are fewer", ge=1)
    temperature: float = param(0.07, "T of the weight exp(cosine / T)", gt=0)


def nearest(bank: Tensor, queries: Tensor, k: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The k rows of ``bank`` with the largest inner product to each query, chunk after chunk of the queries.

    ``bank`` ``[N, D]``, ``queries`` ``[M, D]``, k <= N. Yields products ``[m, k]``, in no order, and their int64
    rows ``[m, k]``. The memory is one chunk of similarities, about ``SIMILARITIES`` floats.
    """
    rows = len(bank)
    chunk = max(FEWEST_QUERIES, SIMILARITIES // rows)
    similarity = bank.new_empty(min(chunk, len(queries)), rows)
    for part in queries.split(chunk):
        yield largest(torch.mm(part, bank.T, out=similarity[: len(part)]), k)


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
    weights = ((similarity - similarity.amax(dim=1, keepdim=True)).double() / temperature).exp()
    votes = torch.zeros(len(labels), classes, dtype=torch.int64, device=labels.device)
    return votes.scatter_add_(1, labels, (weights * VOTE_UNIT).long()).argmax(dim=1)


class Knn:
    """Training features are the bank; every test image asks it."""

    def __init__(self, params: KnnParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data) or _why_not_comparable(data)
        if reason:
            return [Metric("knn_top1", None, reason=reason)]
        return [Metric("knn_top1", self._accuracy(data))]

    def _accuracy(self, data: EvaluationData) -> float:
        bank, bank_labels = features_and_labels(data.train)
        queries, labels = features_and_labels(data.test)
        found = nearest(_unit(bank), _unit(queries), min(self.params.k, len(bank)))
        predicted = [vote(s, bank_labels[i], data.classes, self.params.temperature) for s, i in found]
        return float((torch.cat(predicted) == labels).double().mean())


def _unit(features: Tensor) -> Tensor:
    return features / features.norm(dim=1, keepdim=True)


def _why_not_comparable(data: EvaluationData) -> str:
    """Cosines need a direction for every image, and directions that differ."""
    for name, part in (("training", data.train), ("test", data.test)):
        zeros = int((part.features.norm(dim=1) == 0).sum())
        if zeros:
            return f"{zeros} of {len(part.features)} {name} feature vectors are zero and have no direction"
    if bool((data.train.features == data.train.features[0]).all()):
        return "all training feature vectors are equal: every image is as near as every other"
    return ""


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="knn",
            summary=__doc__.partition("\n")[0],
            params=KnnParams,
            presets={"dino": {"k": 20, "temperature": 0.07}, "k200": {"k": 200, "temperature": 0.1}},
            build=Knn,
            headline="knn_top1",
            citation="Wu et al. 2018, Instance Discrimination, section 3.4 (the weighted vote);"
            " Caron et al. 2021, DINO, appendix and eval_knn.py (k 20, T 0.07)",
        )
    ]
