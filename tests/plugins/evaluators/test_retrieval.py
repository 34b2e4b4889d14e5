"""Average precision against scikit-learn, precision at k against a loop, and what cannot be searched for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from statistics import fmean

import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.nn.functional import normalize

from sslbench import EvaluationData, FeatureSet, Metric
from sslbench_plugins.evaluators import retrieval
from sslbench_plugins.evaluators.retrieval import (
    Retrieval,
    RetrievalParams,
    by_class,
    count_lower,
    first_of_equals,
    ranked,
)

Clusters = Callable[..., EvaluationData]


def evaluate(data: EvaluationData, **params: object) -> list[Metric]:
    return list(Retrieval(RetrievalParams(**params)).evaluate(data))


def cosines(queries: Tensor, searched: Tensor) -> Tensor:
    return normalize(queries.double(), dim=1) @ normalize(searched.double(), dim=1).T


def uneven(clusters: Clusters) -> EvaluationData:
    """Classes of 30, 20 and 8 training images."""
    data = clusters(spread=2.0)
    keep = torch.cat([(data.train.labels == c).nonzero()[:n, 0] for c, n in enumerate((30, 20, 8))])
    return replace(data, train=FeatureSet(data.train.features[keep], data.train.labels[keep]))


def test_map_is_scikit_learns_mean_of_average_precisions(clusters: Clusters) -> None:
    data = uneven(clusters)
    similarity = cosines(data.test.features, data.train.features)
    expected = [
        average_precision_score((data.train.labels == label).numpy(), row.numpy())
        for label, row in zip(data.test.labels, similarity, strict=True)
    ]
    metric = evaluate(data)[0]
    assert metric.name == "retrieval_map"
    assert 0.3 < metric.value < 0.95
    assert metric.value == pytest.approx(fmean(expected), abs=1e-6)
    assert metric.per_image.tolist() == pytest.approx(expected, abs=1e-6)


def test_among_test_images_none_finds_itself(clusters: Clusters) -> None:
    data = clusters(spread=2.0, per_class=12)
    similarity, labels = cosines(data.test.features, data.test.features), data.test.labels
    others = ~torch.eye(len(labels), dtype=torch.bool)
    expected, first = [], []
    for query, row in enumerate(similarity):
        relevant = (labels == labels[query])[others[query]]
        expected.append(average_precision_score(relevant.numpy(), row[others[query]].numpy()))
        first.append(float(relevant[row[others[query]].argmax()]))
    mean, nearest = evaluate(data, among="test", k=[1])
    assert mean.per_image.tolist() == pytest.approx(expected, abs=1e-6)
    assert nearest.per_image.tolist() == first


@pytest.mark.parametrize("k", [1, 3, 10, 58])
def test_precision_at_k_is_the_share_of_the_nearest_that_is_right(clusters: Clusters, k: int) -> None:
    data = uneven(clusters)
    similarity = cosines(data.test.features, data.train.features)
    nearest = data.train.labels[similarity.argsort(dim=1, descending=True)[:, :k]]
    expected = (nearest == data.test.labels[:, None]).double().mean(dim=1)
    metric = evaluate(data, k=[k])[1]
    assert metric.name == f"retrieval_precision@{k}"
    assert metric.per_image.tolist() == pytest.approx(expected.tolist())
    assert metric.value == pytest.approx(float(expected.mean()))


def test_equal_similarities_share_their_ranks() -> None:
    similarity = torch.tensor([[0.9, 0.5, 0.5, 0.5, 0.1, 0.1]])
    relevant = torch.tensor([False, True, True, False, True, False])
    scores = ranked(similarity, relevant, (1, 2, 3, 4, 6))[:, 0].tolist()
    assert scores[0] == pytest.approx(average_precision_score(relevant.numpy(), similarity[0].numpy()))
    orders = [[0, *middle, *last] for middle in permutations((1, 2, 3)) for last in permutations((4, 5))]
    for k, value in zip((1, 2, 3, 4, 6), scores[1:], strict=True):
        assert value == pytest.approx(fmean(fmean(float(relevant[i]) for i in order[:k]) for order in orders))


@pytest.mark.parametrize("skip", [0, 1])
def test_all_similarities_equal_is_the_share_of_relevant_images(skip: int) -> None:
    similarity = torch.full((2, 9), 0.25)
    similarity[:, 0] = -torch.inf if skip else 0.25
    relevant = torch.arange(9) < 3
    expected = (3 - skip) / (9 - skip)
    assert ranked(similarity, relevant, (1, 4), skip).flatten().tolist() == pytest.approx([expected] * 6)


@pytest.mark.parametrize("similarities", [1, 400, 1 << 23])
@pytest.mark.parametrize("among", ["train", "test"])
def test_the_chunks_do_not_change_the_values(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch, similarities: int, among: str
) -> None:
    data = clusters(spread=2.0)
    whole = evaluate(data, among=among)
    monkeypatch.setattr(retrieval, "SIMILARITIES", similarities)
    monkeypatch.setattr(retrieval, "FEWEST_QUERIES", 7)
    for before, after in zip(whole, evaluate(data, among=among), strict=True):
        assert after.value == pytest.approx(before.value, abs=1e-6)
        torch.testing.assert_close(after.per_image, before.per_image)


def test_a_chunk_is_of_one_class_and_every_image_is_a_query_once() -> None:
    labels = torch.tensor([4, 0, 4, 4, 2, 0, 4])
    chunks = list(by_class(labels, 6, most=2))
    assert [(label, len(rows)) for label, rows in chunks] == [(0, 2), (2, 1), (4, 2), (4, 2)]
    assert all(bool((labels[rows] == label).all()) for label, rows in chunks)
    assert sorted(torch.cat([rows for _, rows in chunks]).tolist()) == list(range(7))


def test_counts_of_lower_values_are_those_of_searchsorted() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 30, (5, 200), generator=generator).float().sort(dim=1).values
    keys = values[:, torch.rand(200, generator=generator) < 0.2].contiguous()
    assert torch.equal(count_lower(values, keys), torch.searchsorted(values, keys))
    assert torch.equal(first_of_equals(keys), torch.searchsorted(keys, keys))


def test_the_order_of_the_images_does_not_matter(clusters: Clusters) -> None:
    data = clusters(spread=2.0)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    shuffled = replace(data, train=FeatureSet(data.train.features[order], data.train.labels[order]))
    for before, after in zip(evaluate(data), evaluate(shuffled), strict=True):
        assert after.value == pytest.approx(before.value, abs=1e-6)


def test_a_k_beyond_the_images_is_not_measured_and_the_others_are(clusters: Clusters) -> None:
    mean, few, many = evaluate(clusters(spread=2.0, per_class=4), k=[3, 13])
    assert mean.value is not None
    assert few.value is not None
    assert (many.value, many.reason) == (None, "there are only 12 images to find, fewer than 13")
    *_, among_others = evaluate(clusters(spread=2.0, per_class=4), k=[12], among="test")
    assert among_others.reason == "there are only 11 images to find, fewer than 12"


def test_a_class_without_an_image_to_find_is_named(clusters: Clusters) -> None:
    data = clusters()
    kept = data.train.labels != 2
    lacking = replace(data, train=FeatureSet(data.train.features[kept], data.train.labels[kept]))
    for metric in evaluate(lacking):
        assert metric.value is None
        assert metric.reason == "class 2 is searched for and has no training image"
    one = (data.test.labels != 1) | (torch.arange(90) == int((data.test.labels == 1).nonzero()[0]))
    single = replace(data, test=FeatureSet(data.test.features[one], data.test.labels[one]))
    assert evaluate(single)[0].value is not None
    assert evaluate(single, among="test")[0].reason == "class 1 is searched for and has no other test image"
    both = replace(data, classes=5, test=FeatureSet(data.test.features, data.test.labels + 2))
    assert evaluate(both)[0].reason == "class 3 (and 1 more classes) is searched for and has no training image"


def test_equal_features_find_nothing(clusters: Clusters) -> None:
    data = clusters(per_class=10)
    same = FeatureSet(torch.full((30, 6), 0.1), data.train.labels)
    assert evaluate(replace(data, train=same))[0].reason.startswith("all training feature vectors are equal")
    assert evaluate(replace(data, test=same), among="test")[0].reason.startswith("all test feature vectors are equal")


def test_a_zero_vector_has_no_direction(clusters: Clusters) -> None:
    data = clusters(per_class=10)
    data.train.features[3] = 0
    assert evaluate(data)[0].reason == "1 of 30 training feature vectors are zero and have no direction"


def test_bf16_agrees_but_for_close_calls(clusters: Clusters) -> None:
    data = clusters(spread=4.0, width=32)
    for exact, rounded in zip(evaluate(data), evaluate(data, precision="bf16"), strict=True):
        assert rounded.value == pytest.approx(exact.value, abs=0.01)


def test_the_same_k_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="name each k once"):
        RetrievalParams(k=[3, 3])
