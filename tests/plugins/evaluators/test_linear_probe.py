"""The exact probe against scikit-learn, the tutorial's recipe against autograd, and choices that never see the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from sslbench import EvaluationData, FeatureSet, FitsHead, Metric, UserError
from sslbench.testing.device_work import DeviceWork
from sslbench_plugins.blocks.probes import chosen_l2
from sslbench_plugins.blocks.probes.chosen_l2 import L2_VALUES, split_to_choose
from sslbench_plugins.blocks.probes.logistic import LogisticFit, fit_logistic
from sslbench_plugins.evaluators import linear_probe
from sslbench_plugins.evaluators.linear_probe import LinearProbe, LinearProbeParams, train_adam

Clusters = Callable[..., EvaluationData]


def evaluate(data: EvaluationData, protocol: str = "exact") -> Metric:
    (metric,) = LinearProbe(LinearProbeParams(protocol=protocol)).evaluate(data)
    assert metric.name == "linear_top1"
    return metric


def fit_by_scikit_learn(features: Tensor, labels: Tensor, l2: float) -> LogisticRegression:
    model = LogisticRegression(C=1 / (len(features) * l2), tol=1e-8, max_iter=20_000)
    return model.fit(features.double().numpy(), labels.numpy())


def accuracy(model: LogisticRegression, features: Tensor, labels: Tensor) -> float:
    return model.score(features.double().numpy(), labels.numpy())


def test_the_whole_protocol_is_that_of_scikit_learn(clusters: Clusters) -> None:
    data = clusters(per_class=100, classes=4, width=20, spread=4.0)
    scaler = StandardScaler().fit(data.train.features.double().numpy())
    train, test = (torch.from_numpy(scaler.transform(p.features.double().numpy())) for p in (data.train, data.test))
    labels = data.train.labels
    held_out, fitted = split_to_choose(labels, 4, data.seed)
    assert torch.equal(fitted, ~held_out)
    on_held_out = [
        accuracy(fit_by_scikit_learn(train[~held_out], labels[~held_out], l2), train[held_out], labels[held_out])
        for l2 in L2_VALUES
    ]
    best = L2_VALUES[on_held_out.index(max(on_held_out))] * 0.8  # the same C for all samples as for four fifths of them
    expected = accuracy(fit_by_scikit_learn(train, labels, best), test, data.test.labels)
    assert 0.5 < expected < 0.95
    assert evaluate(data).value == pytest.approx(expected, abs=1.5 / len(data.test.labels))


def test_a_fit_without_an_optimum_has_no_value(monkeypatch: pytest.MonkeyPatch, clusters: Clusters) -> None:
    def never(*args: object, **kwargs: object) -> LogisticFit:
        return fit_logistic(*args, **kwargs)._replace(converged=False, steps=1000)

    monkeypatch.setattr(chosen_l2, "fit_logistic", never)
    metric = evaluate(clusters(spread=0.1))
    assert (metric.value, metric.reason) == (None, "no optimum within 1000 steps at l2 = 0.8")
    assert metric.per_image is None


@pytest.mark.parametrize("protocol", ["exact", "adam-100"])
def test_each_test_image_is_right_or_wrong(clusters: Clusters, protocol: str) -> None:
    data = clusters(per_class=60, spread=3.0)
    metric = evaluate(data, protocol)
    assert metric.per_image.shape == data.test.labels.shape
    assert set(metric.per_image.tolist()) == {0.0, 1.0}
    assert metric.value == pytest.approx(float(metric.per_image.mean()))
    order = torch.arange(len(data.test.labels)).flip(0)
    turned = evaluate(replace(data, test=FeatureSet(data.test.features[order], data.test.labels[order])), protocol)
    assert torch.equal(turned.per_image, metric.per_image[order])


@pytest.mark.parametrize("protocol", ["exact", "adam-100"])
def test_nothing_is_chosen_by_the_test_split(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """The final weights are the same whatever the test split holds."""
    weights = []
    for module, name, of in (
        (chosen_l2, "fit_logistic", lambda fit: fit.weight),
        (linear_probe, "train_adam", lambda layer: layer[0]),
    ):
        original = getattr(module, name)

        def spy(*args: object, original: Callable[..., object] = original, of: Callable = of, **kw: object) -> object:
            result = original(*args, **kw)
            weights[-1].append(of(result))
            return result

        monkeypatch.setattr(module, name, spy)
    data = clusters(spread=4.0)
    for test in (
        data.test,
        FeatureSet(data.test.features, data.test.labels.flip(0)),
        FeatureSet(torch.ones(5, 6), torch.zeros(5).long()),
    ):
        weights.append([])
        evaluate(replace(data, test=test), protocol)
    assert weights[0]
    for other in weights[1:]:
        assert len(other) == len(weights[0])
        assert all(torch.equal(a, b) for a, b in zip(weights[0], other, strict=True))


def test_sizes_and_offsets_of_the_columns_do_not_matter_to_the_exact_probe(clusters: Clusters) -> None:
    data = clusters(spread=3.0)
    scale, offset = torch.tensor([1e-4, 1.0, 3.0, 1e4, 10.0, 0.5]), torch.tensor([5.0, 0.0, -3.0, 1e4, 0.1, 1.0])
    moved = replace(
        data,
        train=FeatureSet(data.train.features * scale + offset, data.train.labels),
        test=FeatureSet(data.test.features * scale + offset, data.test.labels),
    )
    assert evaluate(moved).value == pytest.approx(evaluate(data).value, abs=1.5 / len(data.test.labels))


def test_a_column_that_is_constant_in_training_is_ignored_in_the_test_split(clusters: Clusters) -> None:
    data = clusters(spread=2.0)
    train = torch.cat([data.train.features, torch.full((90, 1), 0.1)], dim=1)
    test = torch.cat([data.test.features, 1e6 * torch.randn(90, 1, generator=torch.Generator().manual_seed(0))], dim=1)
    wider = replace(data, train=FeatureSet(train, data.train.labels), test=FeatureSet(test, data.test.labels))
    assert evaluate(wider).value == evaluate(data).value


def test_constant_features_predict_the_largest_class() -> None:
    labels = torch.tensor([0] * 10 + [1] * 30 + [2] * 20)
    same = FeatureSet(torch.full((60, 4), 0.1), labels)
    assert evaluate(EvaluationData(same, same, 3, 0)).value == pytest.approx(0.5)


def test_more_columns_than_samples_and_more_classes_than_samples(clusters: Clusters) -> None:
    data = clusters(per_class=4, width=100, spread=0.1)
    assert evaluate(replace(data, classes=50)).value == 1.0


def test_the_exact_probe_takes_few_operations_and_reads_few_numbers(clusters: Clusters) -> None:
    """On a GPU each is 5 microseconds or more. Most are those of steps of the fits, whose rule is read at each here."""
    data = clusters(per_class=200, classes=5, width=30, spread=4.0)
    with DeviceWork("cpu") as work:
        evaluate(data)
    assert work.launches.total() <= 3300
    assert len(work.waits) <= 70


def test_one_image_a_class_leaves_none_to_choose_by(clusters: Clusters) -> None:
    metric = evaluate(clusters(per_class=1))
    assert metric.value is None
    assert metric.reason.startswith("every class has a single training image")


def train_by_autograd(features: Tensor, labels: Tensor, classes: int, seed: int) -> nn.Linear:
    """The tutorial's loop, from the same first weights and in the same order."""
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(features.shape[1], classes)
    first = (torch.rand(classes, features.shape[1] + 1, generator=generator) * 2 - 1) / features.shape[1] ** 0.5
    layer.load_state_dict({"weight": first[:, :-1], "bias": first[:, -1]})
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
    for _ in range(100):
        order = torch.randperm(len(features), generator=generator)
        for start in range(0, len(features), 256):
            batch = order[start : start + 256]
            optimizer.zero_grad()
            F.cross_entropy(layer(features[batch]), labels[batch]).backward()
            optimizer.step()
    return layer


def test_adam_100_is_the_tutorials_loop(clusters: Clusters) -> None:
    data = clusters(per_class=200, spread=3.0)
    weight, bias = train_adam(data.train.features, data.train.labels, 3, seed=4)
    layer = train_by_autograd(data.train.features, data.train.labels, 3, seed=4)
    torch.testing.assert_close(weight, layer.weight.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(bias[:, 0], layer.bias.detach(), rtol=1e-4, atol=1e-5)
    expected = (layer(data.test.features).argmax(dim=1) == data.test.labels).double().mean()
    assert evaluate(replace(data, seed=4), "adam-100").value == pytest.approx(float(expected), abs=1e-2)


def test_adam_100_depends_on_its_seed(clusters: Clusters) -> None:
    data = clusters()
    first, again, other = (train_adam(data.train.features, data.train.labels, 3, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("protocol", ["exact", "adam-100"])
def test_the_head_that_fit_returns_is_the_one_that_is_evaluated(clusters: Clusters, protocol: str) -> None:
    data = clusters(per_class=60, spread=1.0)
    shifted = replace(data, train=moved(data.train), test=moved(data.test))
    head = LinearProbe(LinearProbeParams(protocol=protocol)).fit(shifted)
    assert isinstance(LinearProbe(LinearProbeParams()), FitsHead)
    logits = head.logits(shifted.test.features)
    assert logits.shape == (180, 3)
    right = float((logits.argmax(dim=1) == shifted.test.labels).double().mean())
    assert right == pytest.approx(evaluate(shifted, protocol).value, abs=1e-9)
    assert 1 / 3 < right < 1


def moved(part: FeatureSet) -> FeatureSet:
    """Columns of other means and scales, and a constant one, which the head has to fold in."""
    scaled = part.features * torch.linspace(0.1, 10, part.features.shape[1]) + 3
    return FeatureSet(torch.cat([scaled, torch.full((len(scaled), 1), 7.0)], dim=1), part.labels)


def test_where_nothing_can_be_fitted_no_head_is_returned(clusters: Clusters) -> None:
    data = clusters()
    one = replace(data, train=FeatureSet(data.train.features, torch.ones_like(data.train.labels)))
    for protocol in ("exact", "adam-100"):
        with pytest.raises(UserError, match="evaluator 'linear-probe': all training labels are of class 1"):
            LinearProbe(LinearProbeParams(protocol=protocol)).fit(one)
    single = FeatureSet(data.train.features[[0, 30, 60]], torch.arange(3))
    with pytest.raises(UserError, match="every class has a single training image"):
        LinearProbe(LinearProbeParams()).fit(replace(data, train=single))
