"""Draws against their definition, fits against scikit-learn, and what the numbers of labels may be."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression

from sslbench import EvaluationData, FeatureSet, Metric
from sslbench_plugins.blocks.probes import linear_task
from sslbench_plugins.blocks.probes.chosen_l2 import fit_with_chosen_l2
from sslbench_plugins.blocks.probes.logistic import LogisticFit, StoppingRule, fit_logistic
from sslbench_plugins.blocks.probes.samples import draw_ranks
from sslbench_plugins.evaluators import few_label
from sslbench_plugins.evaluators.few_label import FewLabel, FewLabelParams
from sslbench_plugins.evaluators.linear_probe import LinearProbe, LinearProbeParams

Clusters = Callable[..., EvaluationData]


def evaluate(data: EvaluationData, **params: object) -> list[Metric]:
    return FewLabel(FewLabelParams(**params)).evaluate(data)


@pytest.mark.parametrize("wanted", [2, 13])
def test_mean_and_spread_are_those_of_scikit_learns_fits(clusters: Clusters, wanted: int) -> None:
    data = clusters(per_class=60, classes=4, width=20, spread=4.0)
    features, labels = data.train.features.double(), data.train.labels
    mean, deviation = features.mean(dim=0), features.std(dim=0, correction=0)
    train, test = (features - mean) / deviation, (data.test.features.double() - mean) / deviation
    scores = []
    for ranks in draw_ranks(labels, 4, 5, data.seed):
        drawn = ranks < wanted
        model = LogisticRegression(C=1 / (4 * wanted * 0.01), tol=1e-8, max_iter=10_000)
        model.fit(train[drawn].numpy(), labels[drawn].numpy())
        scores.append(model.score(test.numpy(), data.test.labels.numpy()))
    (metric,) = evaluate(data, labels=[wanted], draws=5)
    assert metric.name == f"few_label_top1@{wanted}"
    assert metric.n == 5
    assert metric.value == pytest.approx(statistics.mean(scores), abs=0.005)
    assert metric.std == pytest.approx(statistics.stdev(scores), abs=0.005)
    assert metric.std > 0


def test_a_draw_has_so_many_of_every_class_and_larger_draws_contain_smaller_ones() -> None:
    labels = torch.tensor([0] * 9 + [1] * 30 + [2] * 5)
    for ranks in draw_ranks(labels, 3, 4, seed=0):
        for wanted in (1, 2, 5):
            assert [int((labels[ranks < wanted] == c).sum()) for c in range(3)] == [wanted] * 3
        for c in range(3):
            assert sorted(ranks[labels == c].tolist()) == list(range(int((labels == c).sum())))


def test_every_image_of_a_class_is_drawn_equally_often() -> None:
    ranks = draw_ranks(torch.zeros(5, dtype=torch.int64), 1, 2000, seed=0)
    times = (ranks < 1).sum(dim=0)
    assert times.sum() == 2000
    assert (times - 400).abs().max() < 90  # five standard deviations


def test_draws_differ_from_each_other_and_depend_on_the_seed() -> None:
    labels = torch.arange(3).repeat(20)
    ranks = draw_ranks(labels, 3, 4, seed=0)
    assert len({tuple(row) for row in ranks.tolist()}) == 4
    assert torch.equal(ranks, draw_ranks(labels, 3, 4, seed=0))
    assert torch.equal(ranks[:2], draw_ranks(labels, 3, 2, seed=0))
    assert not torch.equal(ranks, draw_ranks(labels, 3, 4, seed=1))


def test_other_seeds_give_other_results(clusters: Clusters) -> None:
    data = clusters(spread=4.0)
    assert evaluate(data, labels=[2]) != evaluate(replace(data, seed=1), labels=[2])


def test_the_test_labels_do_not_reach_the_fits(clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = []

    def spy(*args: object) -> LogisticFit:
        fit = fit_logistic(*args)
        weights.append(fit.weight)
        return fit

    monkeypatch.setattr(linear_task, "fit_logistic", spy)
    data = clusters(spread=4.0)
    evaluate(data, labels=[2])
    evaluate(replace(data, test=FeatureSet(data.test.features, data.test.labels.flip(0))), labels=[2])
    assert torch.equal(weights[0], weights[1])


def test_labels_that_were_not_drawn_do_not_matter(clusters: Clusters) -> None:
    """All else that is taken from the training split is the mean and deviation of its features."""
    data = clusters(spread=4.0)
    drawn = (draw_ranks(data.train.labels, 3, 1, 0) < 2)[0]
    fit_on_drawn = linear_task.fit_logistic

    def forget_which(features: torch.Tensor, labels: torch.Tensor, *rest: object) -> LogisticFit:
        assert labels[0].tolist() == data.train.labels[drawn].tolist()
        return fit_on_drawn(features, labels, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_task, "fit_logistic", forget_which)
        evaluate(data, labels=[2], draws=1)


def test_more_labels_help(clusters: Clusters) -> None:
    few, some, many = evaluate(clusters(per_class=100, spread=3.0), labels=[1, 5, 50])
    assert few.value < some.value < many.value
    assert few.std > many.std


def test_a_single_draw_has_no_spread(clusters: Clusters) -> None:
    (metric,) = evaluate(clusters(), labels=[2], draws=1)
    assert metric.value is not None
    assert (metric.std, metric.n) == (None, 1)


def test_a_class_with_too_few_labels_is_named_and_other_numbers_are_measured(clusters: Clusters) -> None:
    data = clusters()
    keep = torch.ones(90, dtype=torch.bool)
    keep[(data.train.labels == 1).nonzero()[5:]] = False
    scarce = replace(data, train=FeatureSet(data.train.features[keep], data.train.labels[keep]))
    two, thirteen = evaluate(scarce, labels=[2, 13])
    assert two.value is not None
    assert (thirteen.value, thirteen.std, thirteen.n) == (None, None, None)
    assert thirteen.reason == "class 1 has only 5 of 13 labels"
    assert evaluate(replace(data, classes=4), labels=[2])[0].reason == "class 3 has only 0 of 2 labels"


def test_fits_without_an_optimum_have_no_value(clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_task, "fit_logistic", lambda *args: fit_logistic(*args, stop=StoppingRule(max_steps=1)))
    (metric,) = evaluate(clusters(spread=3.0), labels=[5], l2=1e-4)
    assert (metric.value, metric.n) == (None, None)
    assert metric.reason == "no optimum within 1 steps at l2 = 0.0001"


def test_constant_features_are_at_chance() -> None:
    same = FeatureSet(torch.full((60, 4), 0.1), torch.arange(3).repeat(20))
    (metric,) = evaluate(EvaluationData(same, same, 3, 0), labels=[5])
    assert metric.value == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "name at least one number of labels, or one share of them"),
        ([0], "greater than or equal to 1"),
        ([2, 2], "name each number of labels once"),
    ],
)
def test_wrong_numbers_of_labels_are_refused(labels: list[int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FewLabelParams(labels=labels)


@pytest.mark.parametrize(
    ("shares", "message"),
    [([0.0], "greater than 0"), ([1.5], "less than or equal to 1"), ([0.1, 0.1], "name each share of labels once")],
)
def test_wrong_shares_are_refused(shares: list[float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FewLabelParams(shares=shares)


def uneven(clusters: Clusters) -> EvaluationData:
    """100, 40 and 6 training images of three classes."""
    data = clusters(per_class=100, spread=3.0)
    keep = torch.zeros(300, dtype=torch.bool)
    for label, count in enumerate((100, 40, 6)):
        keep[(data.train.labels == label).nonzero()[:count, 0]] = True
    return replace(data, train=FeatureSet(data.train.features[keep], data.train.labels[keep]))


@pytest.mark.parametrize(("share", "expected"), [(0.01, [1, 1, 1]), (0.1, [10, 4, 1]), (0.5, [50, 20, 3])])
def test_a_share_keeps_the_classes_in_proportion_and_none_without_a_label(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch, share: float, expected: list[int]
) -> None:
    data = uneven(clusters)
    labels_fitted = []

    def spy(features: torch.Tensor, labels: torch.Tensor, *rest: object) -> LogisticFit:
        labels_fitted.append(labels)
        return fit_logistic(features, labels, *rest)

    monkeypatch.setattr(linear_task, "fit_logistic", spy)
    (metric,) = evaluate(data, labels=[], shares=[share], draws=4)
    assert metric.name == f"few_label_top1@{100 * share:g}%"
    assert metric.n == 4
    drawn = torch.cat(labels_fitted)
    assert len(drawn) == 4
    for row in drawn:
        assert torch.bincount(row, minlength=3).tolist() == expected


def test_draws_are_fitted_in_parts_with_the_same_result(clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = evaluate(clusters(spread=4.0), labels=[3], draws=5)
    monkeypatch.setattr(linear_task, "NUMBERS", 2 * 9 * 6)  # two draws of 9 labels in 6 dimensions
    (parts,) = evaluate(clusters(spread=4.0), labels=[3], draws=5)
    assert parts.n == 5
    assert parts.value == pytest.approx(whole.value, abs=0.005)


def test_all_labels_are_one_draw_and_the_value_of_the_linear_probe(clusters: Clusters) -> None:
    data = clusters(per_class=60, spread=4.0)
    (metric,) = evaluate(data, labels=[], shares=[1], draws=7)
    (probe,) = LinearProbe(LinearProbeParams()).evaluate(data)
    assert (metric.name, metric.std, metric.n) == ("few_label_top1@100%", None, 1)
    assert metric.value == probe.value
    assert torch.equal(metric.per_image, probe.per_image)


def test_a_draw_with_labels_enough_chooses_its_regularisation_and_sees_no_other_label(clusters: Clusters) -> None:
    data = clusters(per_class=60, spread=4.0)
    drawn = (draw_ranks(data.train.labels, 3, 1, data.seed) < 30)[0]
    wrong = torch.where(drawn, data.train.labels, (data.train.labels + 1) % 3)
    labels_fitted = []

    def spy(features: torch.Tensor, labels: torch.Tensor, classes: int, seed: int) -> object:
        labels_fitted.append(labels)
        return fit_with_chosen_l2(features, labels, classes, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_task, "fit_with_chosen_l2", spy)
        patch.setattr(few_label, "draw_ranks", lambda *args: draw_ranks(data.train.labels, *args[1:]))
        for labels in (data.train.labels, wrong):
            evaluate(replace(data, train=FeatureSet(data.train.features, labels)), labels=[], shares=[0.5], draws=1)
    assert torch.equal(labels_fitted[0], data.train.labels[drawn])
    assert torch.equal(labels_fitted[0], labels_fitted[1])


def test_more_labels_help_in_shares_as_well(clusters: Clusters) -> None:
    few, some, every = evaluate(clusters(per_class=200, width=20, spread=6.0), labels=[], shares=[0.01, 0.1, 1])
    assert few.value < some.value < every.value
    assert few.std > some.std


def test_the_value_of_each_image_is_a_mean_over_draws(clusters: Clusters) -> None:
    for metric in evaluate(clusters(spread=4.0), labels=[2], shares=[0.2], draws=4):
        assert metric.per_image.shape == (90,)
        assert metric.value == pytest.approx(float(metric.per_image.double().mean()))
        assert {float(right) for right in metric.per_image} <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_several_numbers_are_written_as_a_list_or_with_plus_signs() -> None:
    assert FewLabelParams(labels="2+13", shares="0.1+1") == FewLabelParams(labels=[2, 13], shares=[0.1, 1.0])


def test_the_headline_is_the_first_metric() -> None:
    (spec,) = few_label.sslbench_evaluators()
    assert spec.ranked_by(spec.params()) == "few_label_top1@2"
    assert spec.ranked_by(spec.params(**spec.presets["shares"])) == "few_label_top1@1%"
