"""Speed of the evaluators on cached features, one thread; faiss is in the extra `peers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sslbench import BuildContext, EvaluationData, FeatureSet
from sslbench_plugins.blocks.probes.chosen_l2 import fit_with_chosen_l2
from sslbench_plugins.blocks.probes.inner_products import Bank, quickest_product
from sslbench_plugins.blocks.probes.linear_maps import Standardiser
from sslbench_plugins.blocks.probes.logistic import fit_logistic
from sslbench_plugins.evaluators import few_label, knn, linear_probe, retrieval

CLASSES = 10


def make_data(train: int, test: int, width: int) -> EvaluationData:
    """Rectified, correlated features, and labels that a linear layer gets right about two times in three."""
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    scale = torch.arange(1, width + 1) ** -0.4
    features = torch.randn(train + test, width, generator=generator) * scale @ basis
    noise = torch.randn(train + test, CLASSES, generator=generator)
    labels = (features @ torch.randn(width, CLASSES, generator=generator) + noise).argmax(dim=1)
    features = (features + 0.3).relu()
    parts = [FeatureSet(features[:train], labels[:train]), FeatureSet(features[train:], labels[train:])]
    return EvaluationData(*parts, classes=CLASSES, seed=0)


@pytest.fixture(scope="module")
def cifar_like() -> EvaluationData:
    return make_data(20_000, 2_000, 256)


@pytest.fixture(scope="module")
def cifar_features() -> EvaluationData:
    """As many and as wide as a ResNet-18 gives on CIFAR-10."""
    return make_data(50_000, 10_000, 512)


@pytest.fixture(scope="module")
def searched(cifar_features: EvaluationData) -> EvaluationData:
    """A fifth of the queries: the time is in proportion."""
    test = cifar_features.test
    return replace(cifar_features, test=FeatureSet(test.features[:2_000], test.labels[:2_000]))


@pytest.fixture(scope="module")
def digits_like() -> EvaluationData:
    return make_data(1_437, 360, 128)


def evaluation(module: Any, data: EvaluationData, **params: Any) -> Callable[[], list[Any]]:
    (spec,) = module.sslbench_evaluators()
    return lambda: list(spec.build(spec.params(**params), BuildContext()).evaluate(data))


def assert_measured(metrics: list[Any]) -> None:
    assert all(metric.value is not None and metric.value > 1.5 / CLASSES for metric in metrics)


@pytest.mark.benchmark(group="knn, 20,000 x 256 against 2,000")
def test_matrix_product_alone(benchmark: Any, cifar_like: EvaluationData) -> None:
    bank, queries = (F.normalize(part.features, dim=1) for part in (cifar_like.train, cifar_like.test))

    def product() -> Tensor:
        return queries @ bank.T

    assert benchmark(product).shape == (2_000, 20_000)


@pytest.mark.benchmark(group="knn, 20,000 x 256 against 2,000")
@pytest.mark.parametrize("k", [20, 200])
def test_matrix_product_and_topk(benchmark: Any, cifar_like: EvaluationData, k: int) -> None:
    """What `knn` would cost without its grouped search."""
    bank, queries = (F.normalize(part.features, dim=1) for part in (cifar_like.train, cifar_like.test))

    def plain() -> list[Any]:
        return [(part @ bank.T).topk(k, dim=1) for part in queries.split(500)]

    assert len(benchmark(plain)) == 4


@pytest.mark.benchmark(group="knn, 20,000 x 256 against 2,000")
@pytest.mark.parametrize("k", [20, 200])
def test_knn(benchmark: Any, cifar_like: EvaluationData, k: int) -> None:
    assert_measured(benchmark(evaluation(knn, cifar_like, k=k)))


LARGE = "knn, 50,000 x 512 against 2,000"


def unit_features(data: EvaluationData) -> tuple[Tensor, Tensor]:
    return F.normalize(data.train.features, dim=1), F.normalize(data.test.features, dim=1)


@pytest.mark.benchmark
@pytest.mark.parametrize(("k", "precision"), [(20, "fp32"), (200, "fp32"), (20, "bf16")])
def test_large_knn(beside: Any, searched: EvaluationData, k: int, precision: str) -> None:
    """The whole evaluator, normalising and voting included, in turn with faiss's search alone."""
    faiss = pytest.importorskip("faiss")
    faiss.omp_set_num_threads(1)
    bank, queries = (part.numpy() for part in unit_features(searched))
    evaluate = evaluation(knn, searched, k=k, precision=precision)
    assert_measured(evaluate())

    def flat_index() -> None:
        index = faiss.IndexFlatIP(bank.shape[1])
        index.add(bank)
        index.search(queries, k)

    beside(LARGE, evaluate, "faiss flat index", flat_index, rounds=3)


@pytest.mark.benchmark
def test_large_knn_beside_topk(beside: Any, searched: EvaluationData) -> None:
    bank, queries = unit_features(searched)

    def plain() -> None:
        for part in queries.split(500):
            (part @ bank.T).topk(200, dim=1)

    beside(LARGE, evaluation(knn, searched, k=200), "torch matmul + topk", plain, rounds=3)


@pytest.mark.benchmark
def test_large_knn_beside_its_product(beside: Any, searched: EvaluationData) -> None:
    """The least that an exact search can take: the inner products, as the evaluator makes them."""
    bank, queries = unit_features(searched)
    chunk = knn.SIMILARITIES // len(bank)

    def product() -> None:
        vectors = Bank(bank, product=quickest_product(bank, len(queries)))
        buffer = vectors.buffer(chunk)
        for part in queries.split(chunk):
            vectors.products(part, buffer)

    beside(LARGE, evaluation(knn, searched, k=200), "inner products alone", product, rounds=3)


@pytest.mark.benchmark(group=LARGE)
def test_large_knn_once(benchmark: Any, searched: EvaluationData) -> None:
    benchmark.extra_info["against"] = "scikit-learn"
    assert_measured(benchmark.pedantic(evaluation(knn, searched), rounds=1))


@pytest.mark.benchmark(group=LARGE)
def test_large_knn_by_scikit_learn(benchmark: Any, searched: EvaluationData) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    train, test = searched.train, searched.test
    bank, queries = (F.normalize(part.features, dim=1).numpy() for part in (train, test))
    model = KNeighborsClassifier(20, algorithm="brute", n_jobs=1).fit(bank, train.labels.numpy())
    benchmark.extra_info["peer"] = "scikit-learn"
    benchmark.pedantic(model.predict, args=(queries,), rounds=1)


@pytest.mark.benchmark(group="logistic regression, 20,000 x 256")
@pytest.mark.parametrize("l2", [1e-1, 1e-3, 1e-5])
def test_one_fit(benchmark: Any, rounds: Any, cifar_like: EvaluationData, l2: float) -> None:
    features, labels = cifar_like.train.features, cifar_like.train.labels
    features = (features - features.mean(dim=0)) / features.std(dim=0)
    benchmark.extra_info["against"] = f"scikit-learn, l2 = {l2:g}"
    assert rounds(fit_logistic, features, labels, CLASSES, l2).converged


@pytest.mark.benchmark(group="logistic regression, 20,000 x 256")
@pytest.mark.parametrize("l2", [1e-1, 1e-3, 1e-5])
def test_one_fit_by_scikit_learn(benchmark: Any, cifar_like: EvaluationData, l2: float) -> None:
    """The same objective; its default tolerance is looser than ours."""
    from sklearn.linear_model import LogisticRegression

    features, labels = cifar_like.train.features, cifar_like.train.labels
    features = ((features - features.mean(dim=0)) / features.std(dim=0)).numpy()
    model = LogisticRegression(C=1 / (l2 * len(features)), max_iter=1000)
    benchmark.extra_info["peer"] = f"scikit-learn, l2 = {l2:g}"
    benchmark.pedantic(model.fit, args=(features, labels.numpy()), rounds=1)


@pytest.mark.benchmark(group="linear probe")
@pytest.mark.parametrize(
    ("size", "protocol"), [("digits_like", "exact"), ("digits_like", "adam-100"), ("cifar_like", "exact")]
)
def test_linear_probe(rounds: Any, request: pytest.FixtureRequest, size: str, protocol: str) -> None:
    evaluate = evaluation(linear_probe, request.getfixturevalue(size), protocol=protocol)
    assert_measured(rounds(evaluate))


@pytest.mark.benchmark
def test_large_linear_probe(beside: Any, cifar_features: EvaluationData) -> None:
    """The l2 chosen and the fit made, in turn with the usual loop, of which 5 epochs are timed and 100 reported."""
    train, test = cifar_features.train, cifar_features.test
    evaluate = evaluation(linear_probe, cifar_features)
    (metric,) = evaluate()
    standardise = Standardiser.fitted(train.features)
    features = standardise(train.features)
    l2, _ = fit_with_chosen_l2(features, train.labels, CLASSES, seed=0)
    optimum = fit_logistic(features, train.labels, CLASSES, l2).logits(standardise(test.features))[0].argmax(dim=0)
    assert abs(metric.value - float((optimum == test.labels).double().mean())) <= 0.002

    def five_epochs() -> None:
        layer = nn.Linear(train.features.shape[1], CLASSES)
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
        for _ in range(5):
            for batch in torch.randperm(len(train.features)).split(256):
                optimizer.zero_grad()
                F.cross_entropy(layer(train.features[batch]), train.labels[batch]).backward()
                optimizer.step()

    beside("linear probe, 50,000 x 512", evaluate, "100 epochs of Adam", five_epochs, rounds=3, work=(100, 5))


@pytest.mark.benchmark(group="retrieval, 50,000 x 512 against 2,000")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_retrieval(benchmark: Any, searched: EvaluationData, precision: str) -> None:
    metrics = benchmark.pedantic(evaluation(retrieval, searched, precision=precision), rounds=1)
    assert all(metric.value > 1.2 / CLASSES for metric in metrics)


@pytest.mark.benchmark(group="few labels")
@pytest.mark.parametrize("size", ["digits_like", "cifar_like"])
def test_few_label(rounds: Any, request: pytest.FixtureRequest, size: str) -> None:
    evaluate = evaluation(few_label, request.getfixturevalue(size), labels=(2, 13))
    assert_measured(rounds(evaluate))
