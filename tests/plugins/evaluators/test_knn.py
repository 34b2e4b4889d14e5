"""The vote against a loop over neighbours, and what cannot be evaluated."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from sslbench import EvaluationData, FeatureSet, Metric
from sslbench.testing.pretended_gpu import PretendedGpu
from sslbench_plugins.blocks.probes import inner_products
from sslbench_plugins.blocks.probes.inner_products import Product, unit
from sslbench_plugins.evaluators import knn
from sslbench_plugins.evaluators.knn import (
    Knn,
    KnnParams,
    installed_faiss,
    largest,
    nearest,
    nearest_by_faiss,
    nearest_by_products,
    vote,
)

Clusters = Callable[..., EvaluationData]


def evaluate(data: EvaluationData, **params: object) -> Metric:
    (metric,) = Knn(KnnParams(**params)).evaluate(data)
    assert metric.name == "knn_top1"
    return metric


def predicted_by_loop(data: EvaluationData, k: int, temperature: float) -> list[int]:
    """Wu et al. 2018, section 3.4, one query and one neighbour at a time."""
    bank, predictions = data.train.features.tolist(), []
    for query in data.test.features.tolist():
        cosines = []
        for row, label in zip(bank, data.train.labels.tolist(), strict=True):
            product = sum(a * b for a, b in zip(query, row, strict=True))
            cosines.append((product / math.hypot(*query) / math.hypot(*row), label))
        votes: dict[int, float] = defaultdict(float)
        for cosine, label in sorted(cosines, reverse=True)[:k]:
            votes[label] += math.exp(cosine / temperature)
        predictions.append(max(votes, key=lambda label: votes[label]))
    return predictions


def share_right(predicted: list[int], labels: Tensor) -> float:
    return sum(p == y for p, y in zip(predicted, labels.tolist(), strict=True)) / len(predicted)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (5, 0.07), (20, 0.1), (60, 1.0)])
def test_the_accuracy_is_that_of_a_loop_over_neighbours(clusters: Clusters, k: int, temperature: float) -> None:
    data = clusters(spread=2.0)
    expected = share_right(predicted_by_loop(data, k, temperature), data.test.labels)
    assert 0.3 < expected < 1
    assert evaluate(data, k=k, temperature=temperature).value == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 7, 50])
def test_it_agrees_with_scikit_learn_query_by_query(clusters: Clusters, k: int) -> None:
    data = clusters(spread=2.0, per_class=60)
    bank, queries = unit(data.train.features.double()), unit(data.test.features.double())
    # For unit vectors the squared distance is 2 - 2 cosine.
    model = KNeighborsClassifier(
        k, algorithm="brute", weights=lambda d: torch.tensor((2 - d**2) / 2 / 0.07).exp().numpy()
    )
    expected = model.fit(bank.numpy(), data.train.labels.numpy()).predict(queries.numpy()).tolist()
    neighbours = list(nearest(bank, queries, k))
    predicted = torch.cat([vote(s, data.train.labels[i], data.classes, 0.07) for s, i in neighbours]).tolist()
    assert predicted == expected


@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize("columns", [20, 47, 160, 1000, 5003])
def test_largest_finds_what_topk_finds(columns: int, k: int) -> None:
    values = torch.randn(9, columns, generator=torch.Generator().manual_seed(columns))
    top, indices = largest(values, k)
    assert torch.equal(top.sort(dim=1, descending=True).values, values.topk(k, dim=1).values)
    assert torch.equal(values.gather(1, indices), top)
    assert all(len(set(row)) == k for row in indices.tolist())


def test_largest_handles_columns_that_are_all_equal() -> None:
    top, indices = largest(torch.zeros(2, 4000), 5)
    assert top.abs().max() == 0
    assert all(len(set(row)) == 5 for row in indices.tolist())


@pytest.mark.parametrize(("similarities", "queries"), [(1, 1), (500, 7), (500, 50), (1 << 23, 128)])
@pytest.mark.parametrize("k", [3, 20])
def test_chunks_of_queries_and_parts_of_the_bank_do_not_change_the_predictions(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch, similarities: int, queries: int, k: int
) -> None:
    data = clusters(spread=2.0)
    whole = evaluate(data, k=k)
    monkeypatch.setattr(knn, "SIMILARITIES", similarities)
    monkeypatch.setattr(knn, "FEWEST_QUERIES", queries)
    parts = evaluate(data, k=k)
    assert parts.value == whole.value
    assert torch.equal(parts.per_image, whole.per_image)


def spread_out(rows: int, seed: int) -> Tensor:
    return unit(torch.randn(rows, 33, generator=torch.Generator().manual_seed(seed)))


def by_row(found: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Cosines in the order of their rows, and the rows."""
    values, rows = (torch.cat(parts) for parts in zip(*found, strict=True))
    rows, order = rows.sort(dim=1)
    return values.gather(1, order), rows


@pytest.mark.parametrize("product", ["oneDNN", "torch", "NumPy"])
@pytest.mark.parametrize("k", [1, 20, 200])
def test_neighbours_do_not_depend_on_whose_product_is_taken(product: Product, k: int) -> None:
    bank, queries = spread_out(5003, 0), spread_out(70, 1)
    exact = (queries.double() @ bank.double().T).topk(k, dim=1)
    cosines, rows = by_row(nearest_by_products(bank, queries, k, product=product))
    expected, expected_rows = by_row([exact])
    assert torch.equal(rows, expected_rows)
    torch.testing.assert_close(cosines.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("k", [1, 20, 200])
def test_faiss_finds_the_same_neighbours(k: int) -> None:
    if installed_faiss() is None:
        pytest.skip("needs faiss")
    bank, queries = spread_out(5003, 0), spread_out(70, 1)
    threads = installed_faiss().omp_get_max_threads()
    cosines, rows = by_row(nearest_by_faiss(bank, queries, k))
    expected, expected_rows = by_row(nearest_by_products(bank, queries, k))
    assert torch.equal(rows, expected_rows)
    torch.testing.assert_close(cosines, expected, rtol=0, atol=1e-6)
    assert installed_faiss().omp_get_max_threads() == threads


class Faiss:
    """The part of it that is called."""

    __version__ = "1"
    METRIC_INNER_PRODUCT = 0

    @staticmethod
    def omp_get_max_threads() -> int:
        return 1

    @staticmethod
    def omp_set_num_threads(threads: int) -> None: ...

    @staticmethod
    def knn(queries: np.ndarray, bank: np.ndarray, k: int, metric: int) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(-queries @ bank.T, axis=1)[:, :k]
        return np.take_along_axis(queries @ bank.T, order, axis=1), order


@pytest.mark.parametrize("way", ["products", "faiss"])
def test_a_large_search_goes_the_quickest_way_with_the_same_votes(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    data = clusters(spread=2.0)
    expected = evaluate(data)
    asked = []

    def choose(task: str, ways: tuple[str, ...], prepare: Callable[[str], Callable[[], object]]) -> str:
        asked.append(task)
        prepare(ways[-1])()
        return way if "faiss" in ways else "NumPy"

    monkeypatch.setattr(knn, "SAMPLE", (30, 4, 5))
    monkeypatch.setattr(inner_products, "SAMPLE", (30, 4, 5))
    monkeypatch.setattr(inner_products, "WORTH_MEASURING", 1)
    monkeypatch.setattr(knn, "installed_faiss", Faiss)
    for module in (knn, inner_products):
        monkeypatch.setattr(module, "quickest", choose)
    assert torch.equal(evaluate(data).per_image, expected.per_image)
    assert asked[1:] == ["nearest neighbours, faiss 1, products of NumPy"]
    assert evaluate(data, precision="bf16").value is not None
    assert len(asked) == 2


def test_faiss_is_not_loaded_where_it_is_missing_or_off_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert installed_faiss.__wrapped__() is None
    monkeypatch.setitem(sys.modules, "faiss", Faiss)
    assert installed_faiss.__wrapped__() == (Faiss if sys.platform == "linux" else None)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert installed_faiss.__wrapped__() is None


def test_rows_of_later_parts_are_counted_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "SIMILARITIES", 10)
    monkeypatch.setattr(knn, "FEWEST_QUERIES", 2)
    bank = torch.eye(17)
    rows = torch.cat([rows for _, rows in nearest(bank, bank, 1)])
    assert rows[:, 0].tolist() == list(range(17))


def test_each_test_image_is_right_or_wrong(clusters: Clusters) -> None:
    data = clusters(spread=2.0)
    metric = evaluate(data, k=5)
    predicted = torch.tensor(predicted_by_loop(data, 5, 0.07))
    assert torch.equal(metric.per_image, (predicted == data.test.labels).float())
    assert metric.value == pytest.approx(float(metric.per_image.mean()))


def test_bf16_agrees_but_for_close_calls(clusters: Clusters) -> None:
    data = clusters(spread=8.0, per_class=200, width=32)
    exact, rounded = evaluate(data, k=20), evaluate(data, k=20, precision="bf16")
    assert 0.5 < exact.value < 1
    assert float((exact.per_image == rounded.per_image).float().mean()) > 0.98
    assert rounded.value == pytest.approx(exact.value, abs=0.01)


def test_near_neighbours_outvote_many_far_ones_at_a_low_temperature_only() -> None:
    similarity, labels = torch.tensor([[1.0, 0.9, 0.9]]), torch.tensor([[1, 0, 0]])
    assert vote(similarity, labels, 2, temperature=0.07).tolist() == [1]
    assert vote(similarity, labels, 2, temperature=1.0).tolist() == [0]


def test_of_classes_with_equal_votes_the_lower_wins_in_any_order_of_the_neighbours() -> None:
    for order in ([2, 1, 1, 2], [1, 2, 2, 1], [2, 2, 1, 1]):
        assert vote(torch.full((1, 4), 0.3), torch.tensor([order]), 3, temperature=0.07).tolist() == [1]


def test_tiny_temperatures_do_not_overflow(clusters: Clusters) -> None:
    data = clusters(spread=2.0)
    assert evaluate(data, temperature=1e-6).value == pytest.approx(evaluate(data, k=1).value)


def test_lengths_of_the_features_and_rotations_do_not_matter(clusters: Clusters) -> None:
    data = clusters(spread=2.0)
    scale = torch.rand(len(data.train.features), 1, generator=torch.Generator().manual_seed(0)) * 100 + 1e-3
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))
    moved = replace(
        data,
        train=FeatureSet(data.train.features * scale @ turn, data.train.labels),
        test=FeatureSet(data.test.features @ turn, data.test.labels),
    )
    assert evaluate(moved).value == evaluate(data).value


def test_the_order_of_the_training_images_does_not_matter(clusters: Clusters) -> None:
    data = clusters(spread=2.0)
    order = torch.randperm(len(data.train.features), generator=torch.Generator().manual_seed(0))
    shuffled = replace(data, train=FeatureSet(data.train.features[order], data.train.labels[order]))
    assert evaluate(shuffled).value == evaluate(data).value


def test_a_k_beyond_the_training_images_uses_them_all(clusters: Clusters) -> None:
    data = clusters(spread=2.0, per_class=4)
    assert evaluate(data, k=1000).value == evaluate(data, k=len(data.train.features)).value
    assert "all training images" in KnnParams.model_fields["k"].description


def test_it_needs_no_seed(clusters: Clusters) -> None:
    data = clusters(spread=2.0)
    assert evaluate(replace(data, seed=5)) == evaluate(data)


def test_a_zero_vector_has_no_direction(clusters: Clusters) -> None:
    data = clusters(per_class=10)
    data.test.features[3] = 0
    assert evaluate(data).value is None
    assert evaluate(data).reason == "1 of 30 test feature vectors are zero and have no direction"


def test_equal_training_features_rank_nothing(clusters: Clusters) -> None:
    data = clusters(per_class=10)
    same = replace(data, train=FeatureSet(torch.full((30, 6), 0.1), data.train.labels))
    assert evaluate(same).value is None
    assert evaluate(same).reason.startswith("all training feature vectors are equal")


def test_the_presets_are_the_published_protocols() -> None:
    (spec,) = knn.sslbench_evaluators()
    chosen = {name: KnnParams(**preset) for name, preset in spec.presets.items()}
    assert KnnParams() == chosen["dino"] == chosen["dino-20"] == KnnParams(k=20, temperature=0.07)
    assert [chosen[f"dino-{k}"] for k in (10, 100, 200)] == [KnnParams(k=k, temperature=0.07) for k in (10, 100, 200)]
    assert chosen["k200"] == chosen["moco"] == chosen["lightly"] == KnnParams(k=200, temperature=0.1)


@pytest.mark.pretended
def test_a_search_on_a_gpu_waits_for_nothing_and_launches_little() -> None:
    with PretendedGpu() as gpu:
        bank, queries = (torch.ones(count, 512, device="cuda") for count in (50_000, 10_000))
        labels = torch.zeros(50_000, dtype=torch.int64, device="cuda")
        gpu.launches.clear()
        votes = [vote(cosines, labels[rows], 10, 0.07) for cosines, rows in nearest(bank, queries, 20)]
    assert sum(map(len, votes)) == 10_000
    assert gpu.launches["mm"] == len(votes) == 15
    assert gpu.launches.total() <= 15 * 39
    assert (gpu.work.waits, gpu.crossings) == ([], [])
