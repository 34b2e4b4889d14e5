"""Which labels, which parts of the network, from which initial weights: and what is reported."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from sslbench import FeatureSet, UserError
from sslbench.testing.fakes import TinyBackbone, TinyDataset
from sslbench.train.checkpoint import weights_digest
from sslbench_plugins.blocks.networks.untrained import Untrained
from sslbench_plugins.blocks.probes.label_training import LabelTraining
from sslbench_plugins.blocks.probes.logistic import StoppingRule
from sslbench_plugins.blocks.probes.samples import draw_ranks
from sslbench_plugins.evaluators.fine_tune import FineTune, FineTuneParams, sslbench_evaluators

FAST = {"epochs": 2, "least_steps": 4, "batch_size": 16, "augmentation": "none"}


class Convolutional(TinyBackbone):
    """With batch norm, and positions, which tell the classes apart."""

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
    return {m.name: m for m in FineTune(FineTuneParams(**{**FAST, **given})).evaluate(data)}


@pytest.fixture
def trainings(monkeypatch):
    """One tuple a training: digest of the initial weights, images, learning rates, seed, initial head."""
    calls = []
    train = LabelTraining.train

    def spy(self, network, data, images, rates, seed):
        calls.append((weights_digest(network.backbone), images, rates, seed, network.head.weight.detach().clone()))
        train(self, network, data, images, rates, seed)

    monkeypatch.setattr(LabelTraining, "train", spy)
    return calls


def test_the_trained_network_and_an_untrained_one_learn_from_the_same(data, trainings):
    evaluate(data)
    (tuned, scratch) = trainings
    assert tuned[0] == weights_digest(data.model.method.encoder)
    assert scratch[0] == weights_digest(convolutional(data.seed).encoder)
    assert torch.equal(tuned[1], scratch[1])
    assert tuned[3] == scratch[3] == data.seed
    assert (tuned[2].head, tuned[2].backbone, tuned[2].update_batch_norm) == (1e-3, 1e-5, False)
    assert (scratch[2].head, scratch[2].backbone, scratch[2].update_batch_norm) == (1e-3, 1e-3, True)


def test_a_task_that_can_be_learnt_is_learnt_by_both(data):
    metrics = evaluate(data, epochs=40, backbone_lr=1e-3)
    assert metrics["fine_tune_top1"].value > 0.95
    assert metrics["from_scratch_top1"].value > 0.9
    for name in ("fine_tune_top1", "from_scratch_top1"):
        assert metrics[name].per_image.shape == (32,)
        assert float(metrics[name].per_image.mean()) == metrics[name].value


def test_parameters_are_counted_head_included(data):
    backbone = sum(p.numel() for p in data.model.method.encoder.parameters())
    whole, frozen = evaluate(data), evaluate(data, frozen=True)
    assert whole["frozen_parameters"].value == 0
    assert whole["trainable_parameters"].value == backbone + 34
    assert whole["trainable_ratio"].value == 1
    assert frozen["frozen_parameters"].value == backbone
    assert frozen["trainable_parameters"].value == 34
    assert frozen["trainable_ratio"].value == pytest.approx(34 / (backbone + 34))


def test_frozen_trains_the_head_alone(data, monkeypatch):
    networks = []
    logits = LabelTraining.logits
    monkeypatch.setattr(
        LabelTraining, "logits", lambda self, network, data: networks.append(network) or logits(self, network, data)
    )
    evaluate(data, frozen=True)
    tuned, scratch = networks
    assert weights_digest(tuned.backbone) == weights_digest(data.model.method.encoder)
    assert weights_digest(scratch.backbone) != weights_digest(convolutional(data.seed).encoder)


def test_the_fitted_head_is_right_on_the_labelled_images_before_training(data, trainings):
    evaluate(data, epochs=1, least_steps=1)
    fitted = trainings[0][4]
    logits = data.train.features @ fitted.T
    assert (logits.argmax(dim=1) == data.train.labels).double().mean() > 0.9
    evaluate(data, head="random")
    assert not torch.equal(trainings[2][4], fitted)
    assert torch.equal(trainings[2][4], trainings[3][4])


def test_without_the_comparison_nothing_is_trained_from_scratch(data, trainings):
    assert "from_scratch_top1" not in evaluate(data, scratch=False)
    assert len(trainings) == 1


@pytest.mark.parametrize(
    ("given", "each"), [({"share": 0.25}, 8), ({"per_class": 3}, 3), ({"share": 0.001}, 1), ({}, 32)]
)
def test_so_many_labels_of_each_class_are_used(data, trainings, given, each):
    evaluate(data, **given)
    images = trainings[0][1]
    assert [int((data.train.labels[images] == c).sum()) for c in (0, 1)] == [each, each]
    (ranks,) = draw_ranks(data.train.labels, 2, 1, data.seed)
    assert torch.equal(images, (ranks < each).nonzero()[:, 0])


def test_too_few_labels_are_reported_with_the_class(data):
    reason = "class 0 has only 32 of 33 labels"
    metrics = evaluate(data, per_class=33)
    assert {(m.value, m.reason) for m in metrics.values()} == {(None, reason)}
    assert set(metrics) == set(evaluate(data))


def test_a_class_without_training_images_can_be_missed_and_nothing_else(data):
    more = replace(data, classes=5)
    assert evaluate(more)["fine_tune_top1"].value is not None
    assert evaluate(more, per_class=1)["fine_tune_top1"].reason == "class 2 has only 0 of 1 labels"


def test_an_architecture_whose_weights_are_given_is_not_called_from_scratch(scenes):
    data = scenes(TinyDataset(), lambda seed: convolutional(7))
    metrics = evaluate(data)
    assert metrics["fine_tune_top1"].value is not None
    assert metrics["from_scratch_top1"].value is None
    reason = "the untrained network is the same for every seed: its weights are given"
    assert metrics["from_scratch_top1"].reason == reason


def test_a_training_that_diverges_has_no_value(data):
    metrics = evaluate(data, head_lr=1e30)
    reason = "after training, the network's outputs hold NaN or infinity"
    assert (metrics["fine_tune_top1"].value, metrics["fine_tune_top1"].reason) == (None, reason)
    assert metrics["trainable_ratio"].value == 1


def test_a_head_without_an_optimum_has_no_value(data, monkeypatch):
    from sslbench_plugins.evaluators import fine_tune

    fit = fine_tune.fit_logistic
    monkeypatch.setattr(fine_tune, "fit_logistic", lambda *args: fit(*args, stop=StoppingRule(max_steps=1)))
    assert evaluate(data)["fine_tune_top1"].reason == "the head has no optimum within 1 steps at l2 = 0.0001"
    assert evaluate(data, head="random")["fine_tune_top1"].value is not None


def test_the_test_split_is_read_once_for_each_network(data):
    splits = []
    images = data.model.images
    data.model.images = lambda split, indices: splits.append(split) or images(split, indices)
    evaluate(data)
    assert splits == ["test", "test"]


def test_labels_of_the_test_split_do_not_reach_the_training(data, trainings):
    first = evaluate(data)
    flipped = evaluate(replace(data, test=FeatureSet(data.test.features, 1 - data.test.labels)))
    assert flipped["fine_tune_top1"].value == pytest.approx(1 - first["fine_tune_top1"].value)


def test_both_amounts_at_once_are_refused():
    with pytest.raises(ValidationError, match="give share or per_class, not both"):
        FineTuneParams(share=0.5, per_class=2)


def test_an_unknown_augmentation_is_named_with_its_parameter():
    with pytest.raises(UserError, match="fine-tune: augmentation: unknown augmentation 'x'"):
        FineTune(FineTuneParams(augmentation="x"))


def test_dinos_teacher_learns_as_well(scenes, trainings):
    from sslbench_plugins.methods.dino import DINO, DINOParams

    def dino(seed):
        torch.manual_seed(seed)
        params = DINOParams(prototypes=8, hidden_dim=8, bottleneck_dim=4, local_crops=0)
        return DINO(params, Convolutional(), 8)

    data = scenes(TinyDataset(), dino)
    before = weights_digest(data.model.method)
    metrics = evaluate(data, backbone_lr=1e-2)
    assert metrics["frozen_parameters"].value == 0
    assert weights_digest(data.model.method) == before
    assert all(not p.requires_grad for p in data.model.method.encoder.parameters())


def test_the_headline_is_top1_and_presets_are_valid():
    (spec,) = sslbench_evaluators()
    assert spec.ranked_by(spec.params()) == "fine_tune_top1"
    assert spec.needs == {"labels", "encoder"}
    for preset in spec.presets.values():
        assert spec.params(**preset) != spec.params()


def test_other_seeds_give_other_trainings(data, trainings):
    for seed in (0, 1, 1):
        evaluate(replace(data, seed=seed), per_class=5)
    starts = [(start, images.tolist()) for start, images, *_ in trainings]
    assert starts[2] == starts[4]
    assert starts[3] == starts[5]
    assert starts[1][0] != starts[3][0]
    assert starts[0][1] != starts[2][1]
