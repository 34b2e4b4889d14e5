"""The same draws as few-label's, one training each; the linear layer beside it on the same draws."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from sslbench import FeatureSet
from sslbench.testing.fakes import TinyBackbone, TinyDataset
from sslbench.train.checkpoint import weights_digest
from sslbench_plugins.blocks.networks.untrained import Untrained
from sslbench_plugins.blocks.probes import linear_task
from sslbench_plugins.blocks.probes.label_training import LabelTraining
from sslbench_plugins.blocks.probes.logistic import StoppingRule
from sslbench_plugins.evaluators.few_label import FewLabel, FewLabelParams
from sslbench_plugins.evaluators.few_label_scratch import (
    FewLabelScratch,
    FewLabelScratchParams,
    sslbench_evaluators,
)

FAST = {"epochs": 1, "least_steps": 3, "batch_size": 16, "augmentation": "none"}


class Convolutional(TinyBackbone):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(16 * 16, 16)

    def forward(self, images):
        return self.out(self.net(images).flatten(1))


def convolutional(seed):
    torch.manual_seed(seed)
    return Untrained(Convolutional())


@pytest.fixture
def data(scenes):
    return scenes(TinyDataset(), convolutional)


def evaluate(data, **given):
    return {m.name: m for m in FewLabelScratch(FewLabelScratchParams(**{**FAST, **given})).evaluate(data)}


@pytest.fixture
def trainings(monkeypatch):
    """One list a training: digest of the initial weights, images, final accuracy."""
    calls = []
    train, correct = LabelTraining.train, LabelTraining.correct

    def spy(self, network, data, images, rates, seed):
        calls.append([weights_digest(network.backbone), images])
        train(self, network, data, images, rates, seed)

    def score(self, network, data):
        outcome = correct(self, network, data)
        calls[-1].append(float(outcome.mean()))
        return outcome

    monkeypatch.setattr(LabelTraining, "train", spy)
    monkeypatch.setattr(LabelTraining, "correct", score)
    return calls


def test_draws_are_the_first_of_few_labels(data, trainings, monkeypatch):
    fitted = []
    fit = linear_task.fit_logistic
    monkeypatch.setattr(linear_task, "fit_logistic", lambda *args: fitted.append(args[0]) or fit(*args))
    FewLabel(FewLabelParams(labels=[3], draws=10)).evaluate(data)
    evaluate(data, labels=[3], draws=2)
    standardised = linear_task.Standardiser.fitted(data.train.features)(data.train.features)
    assert len(trainings) == 2
    for (_, images, _), row in zip(trainings, fitted[0], strict=False):
        assert torch.equal(standardised[images], row)


def test_values_are_mean_and_deviation_over_the_draws(data, trainings):
    metrics = evaluate(data, labels=[4], draws=3)
    scores = [accuracy for _, _, accuracy in trainings]
    metric = metrics["scratch_top1@4"]
    assert metric.value == pytest.approx(statistics.mean(scores))
    assert metric.std == pytest.approx(statistics.stdev(scores))
    assert metric.n == 3


def test_the_gain_is_paired_with_few_labels_own_value(data, trainings):
    """With as many draws as few-label has, the mean gain is the difference of the two means."""
    metrics = evaluate(data, labels=[4], draws=3)
    (linear,) = FewLabel(FewLabelParams(labels=[4], draws=3)).evaluate(data)
    gain = metrics["features_gain@4"]
    assert gain.value == pytest.approx(linear.value - metrics["scratch_top1@4"].value)
    assert gain.n == 3
    assert gain.std is not None


def test_with_shares_too_the_linear_layer_is_few_labels_own(data, trainings, monkeypatch):
    """Each draw of half the labels chooses its regularisation; all of the labels are one fit, whatever the draws."""
    noise = torch.randn(data.train.features.shape, generator=torch.Generator().manual_seed(0))
    data = replace(data, train=replace(data.train, features=noise))
    linear = FewLabel(FewLabelParams(labels=[], shares=[0.05, 0.5, 1.0], draws=3)).evaluate(data)
    chosen = []
    fit = linear_task.fit_with_chosen_l2
    monkeypatch.setattr(linear_task, "fit_with_chosen_l2", lambda *args: chosen.append(len(args[0])) or fit(*args))
    metrics = evaluate(data, labels=[], shares=[0.05, 0.5, 1.0], draws=3)
    assert chosen == [32, 32, 32, 64]
    for name, metric in zip(("5%", "50%", "100%"), linear, strict=True):
        gain = metrics[f"features_gain@{name}"]
        assert gain.value == pytest.approx(metric.value - metrics[f"scratch_top1@{name}"].value)
        assert gain.n == 3


def test_every_draw_starts_from_weights_of_its_own_that_depend_on_the_seed(data, trainings):
    evaluate(data, labels=[2], draws=3)
    evaluate(data, labels=[2], draws=2)
    evaluate(replace(data, seed=1), labels=[2], draws=2)
    starts = [start for start, _, _ in trainings]
    assert len(set(starts[:3])) == 3
    assert starts[3:5] == starts[:2]
    assert set(starts[5:]).isdisjoint(starts[:3])


def test_shares_take_their_part_of_each_class(data, trainings):
    metrics = evaluate(data, labels=(), shares=[0.001, 0.25, 1.0], draws=1)
    assert [len(images) for _, images, _ in trainings] == [2, 16, 64]
    assert {name.partition("@")[2] for name in metrics} == {"0.1%", "25%", "100%"}
    assert metrics["scratch_top1@25%"].std is None


def test_a_network_that_trains_learns_and_one_that_does_not_is_at_chance(data):
    assert evaluate(data, labels=[30], epochs=6)["scratch_top1@30"].value > 0.9
    assert evaluate(data, labels=[30], epochs=6, lr=1e-9)["scratch_top1@30"].value < 0.8


def test_too_few_labels_are_reported_and_other_amounts_measured(data):
    metrics = evaluate(data, labels=[2, 40], draws=1)
    assert metrics["scratch_top1@2"].value is not None
    for name in ("scratch_top1@40", "features_gain@40"):
        assert (metrics[name].value, metrics[name].reason) == (None, "class 0 has only 32 of 40 labels")


def test_an_architecture_whose_weights_are_given_is_not_trained(scenes, trainings):
    metrics = evaluate(scenes(TinyDataset(), lambda seed: convolutional(7)), shares=[0.5])
    reason = "the untrained network is the same for every seed: its weights are given"
    assert {(m.value, m.reason) for m in metrics.values()} == {(None, reason)}
    assert len(metrics) == 6
    assert trainings == []


def test_a_training_that_diverges_has_no_value(data):
    metrics = evaluate(data, labels=[2], lr=1e30)
    reason = "after training, the network's outputs hold NaN or infinity"
    assert {(m.value, m.reason) for m in metrics.values()} == {(None, reason)}


def test_a_linear_layer_without_an_optimum_spoils_the_gain_alone(data, monkeypatch):
    fit = linear_task.fit_logistic
    monkeypatch.setattr(linear_task, "fit_logistic", lambda *args: fit(*args, stop=StoppingRule(max_steps=1)))
    metrics = evaluate(data, labels=[5])
    assert metrics["scratch_top1@5"].value is not None
    assert metrics["features_gain@5"].reason == "no optimum within 1 steps at l2 = 0.01"


def test_the_test_labels_do_not_reach_the_training(data, trainings):
    evaluate(data, labels=[2], draws=1)
    flipped = replace(data, test=FeatureSet(data.test.features, 1 - data.test.labels))
    evaluate(flipped, labels=[2], draws=1)
    assert trainings[1][2] == pytest.approx(1 - trainings[0][2])


def test_the_headline_is_the_first_amount():
    (spec,) = sslbench_evaluators()
    assert spec.ranked_by(spec.params()) == "scratch_top1@2"
    assert spec.ranked_by(spec.params(labels=(), shares="0.1+1")) == "scratch_top1@10%"
    assert spec.params(**spec.presets["shares"]).shares == (0.01, 0.1, 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": ()}, "name at least one number of labels, or one share of them"),
        ({"labels": (2, 2)}, "name each number of labels once"),
        ({"shares": (0.5, 0.5)}, "name each share of labels once"),
        ({"shares": (1.5,)}, "less than or equal to 1"),
        ({"labels": (0,)}, "greater than or equal to 1"),
    ],
)
def test_wrong_amounts_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        FewLabelScratchParams(**given)
