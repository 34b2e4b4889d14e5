"""One recipe for every network: what learns, what stays, what depends on the seed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from sslbench import EvaluationData, UserError
from sslbench.evaluate.evaluated_model import TrainedModel
from sslbench.evaluate.features import extract_all
from sslbench.testing.fakes import TinyBackbone, TinyDataset, evaluated_scenes
from sslbench.train.checkpoint import weights_digest
from sslbench.train.data import make_splits
from sslbench_plugins.blocks.networks.untrained import Untrained
from sslbench_plugins.blocks.probes.evaluable import Unmeasurable
from sslbench_plugins.blocks.probes.label_training import (
    Classifier,
    LabelTraining,
    LabelTrainingParams,
    LearningRates,
    gradient_scaler,
    param_groups,
    why_not_from_scratch,
)

ALL = torch.arange(64)


class Convolutional(TinyBackbone):
    """With batch norm and dropout; a position tells the classes apart, so positions are kept."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(16 * 16, 16)

    def forward(self, images):
        return self.out(self.drop(self.net(images).flatten(1)))


def scenes(precision="fp32"):
    def make(seed):
        torch.manual_seed(seed)
        return Untrained(Convolutional())

    data = make_splits(TinyDataset(), evaluate_on="test", train_images=None, image_size=None)
    model = TrainedModel(make(5), make, data, torch.device("cpu"), precision)
    features = extract_all(model.method.encoder, data, model.device, precision)
    return EvaluationData(features.train, features.test, 2, 0, model)


def training(**given):
    params = {"epochs": 2, "least_steps": 1, "batch_size": 16, "augmentation": "none", **given}
    return LabelTraining(LabelTrainingParams(**params), "test")


def trained(rates, data=None, images=ALL, seed=0, **given):
    data = data or scenes()
    recipe = training(**given)
    network = recipe.classifier(data.model.encoder(), data, seed)
    recipe.train(network, data, images, rates, seed)
    return network, recipe, data


@pytest.mark.parametrize(
    ("images", "given", "expected"),
    [
        (64, {}, (16, 8)),
        (70, {}, (16, 8)),
        (7, {}, (7, 2)),
        (7, {"least_steps": 30}, (7, 30)),
        (64, {"epochs": 5, "batch_size": 64}, (64, 5)),
        (2, {"epochs": 1}, (2, 1)),
    ],
)
def test_batches_are_whole_and_steps_enough(images, given, expected):
    assert training(**given).steps(images) == expected


def test_steps_and_batches_that_are_taken_are_those_that_steps_returns():
    data = scenes()
    sizes = []
    network = Classifier(data.model.encoder(), 16, 2)
    network.backbone.register_forward_hook(lambda module, args, out: sizes.append(len(args[0])))
    training(epochs=3, batch_size=24).train(network, data, torch.arange(50), LearningRates(1e-3, 1e-3), 0)
    assert sizes == [24] * 6


def test_every_labelled_image_is_used_once_in_each_pass_and_no_other():
    data = scenes()
    reads = []
    pixels = data.model.pixels
    data.model.pixels = lambda split, indices: reads.append((split, indices)) or pixels(split, indices)
    images = torch.arange(1, 64, 2)
    network = Classifier(data.model.encoder(), 16, 2)
    training().train(network, data, images, LearningRates(1e-3, 1e-3), 0)
    assert {split for split, _ in reads} == {"train"}
    passes = torch.stack([indices for _, indices in reads]).view(2, -1)
    assert torch.equal(passes.sort(dim=1).values, images.expand(2, -1))
    assert not torch.equal(passes[0], passes[1])


def test_training_learns_the_task_with_a_network_that_can():
    network, recipe, data = trained(LearningRates(1e-2, 1e-2), epochs=30)
    assert recipe.correct(network, data).mean() > 0.95
    assert not network.training


def test_a_frozen_network_is_as_it_was_with_its_statistics():
    data = scenes()
    before = weights_digest(data.model.encoder())
    network, recipe, _ = trained(LearningRates(1e-2, 0.0), data)
    assert weights_digest(network.backbone) == before
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 34
    assert not any(p.requires_grad for p in network.backbone.parameters())
    fresh = recipe.classifier(data.model.encoder(), data, 0)
    assert not torch.equal(network.head.weight, fresh.head.weight)


def test_a_frozen_network_is_in_eval_mode_while_the_head_trains():
    data = scenes()
    network = Classifier(data.model.encoder(), 16, 2)
    modes = []
    network.backbone.register_forward_hook(
        lambda module, args, out: modes.append(module.training or module.net[1].training)
    )
    training().train(network, data, ALL, LearningRates(1e-3, 0.0), 0)
    assert not any(modes)


@pytest.mark.parametrize(("update", "kept"), [(True, False), (False, True)])
def test_batch_norm_takes_the_statistics_of_the_images_or_keeps_its_own(update, kept):
    data = scenes()
    before = data.model.encoder().net[1]
    network, _, _ = trained(LearningRates(1e-3, 1e-3, update), data)
    after = network.backbone.net[1]
    assert torch.equal(after.running_mean, before.running_mean) == kept
    assert (int(after.num_batches_tracked) == 0) == kept
    assert not torch.equal(after.weight, before.weight)


def test_with_kept_statistics_all_else_is_in_training_mode():
    network = Classifier(Convolutional(), 16, 2)
    network.prepare(LearningRates(1e-3, 1e-3, update_batch_norm=False))
    assert network.backbone.drop.training
    assert not network.backbone.net[1].training


def test_the_two_rates_reach_the_two_parts_and_only_weights_decay():
    network = Classifier(Convolutional(), 16, 2)
    groups = param_groups(network, LearningRates(1e-3, 1e-5), 0.1)
    settings = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert settings[id(network.head.weight)] == (1e-3, 0.1)
    assert settings[id(network.head.bias)] == (1e-3, 0.0)
    assert settings[id(network.backbone.out.weight)] == (1e-5, 0.1)
    assert settings[id(network.backbone.net[1].weight)] == (1e-5, 0.0)
    assert set(settings) == {id(p) for p in network.parameters()}


def test_a_smaller_rate_moves_the_network_less():
    data = scenes()
    start = data.model.encoder()

    def moved(rate):
        network, _, _ = trained(LearningRates(1e-3, rate), data)
        return sum(
            float((a - b).detach().abs().sum())
            for a, b in zip(network.backbone.parameters(), start.parameters(), strict=True)
        )

    assert moved(1e-2) > 20 * moved(1e-4) > 0


def test_the_rate_falls_along_half_a_cosine(monkeypatch):
    rates = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self, *a, **k: rates.append(self.param_groups[0]["lr"]) or step(self, *a, **k)
    )
    trained(LearningRates(1.0, 0.0))
    expected = [0.5 * (1 + float(torch.tensor(torch.pi * s / 8).cos())) for s in range(8)]
    assert rates == pytest.approx(expected, abs=1e-6)


def test_a_run_depends_on_its_seed_alone():
    data = scenes()
    torch.manual_seed(1)
    first, _, _ = trained(LearningRates(1e-3, 1e-3), data, augmentation="affine")
    torch.manual_seed(2)
    again, _, _ = trained(LearningRates(1e-3, 1e-3), data, augmentation="affine")
    other, _, _ = trained(LearningRates(1e-3, 1e-3), data, augmentation="affine", seed=1)
    assert weights_digest(first) == weights_digest(again) != weights_digest(other)


def test_two_networks_get_the_same_images_and_views():
    data = scenes()
    views = []
    normalise = data.model.normalise
    data.model.normalise = lambda images: views.append(images) or normalise(images)
    recipe = training(augmentation="affine")
    for network in (data.model.encoder(), data.model.scratch(3)):
        recipe.train(recipe.classifier(network, data, 0), data, ALL, LearningRates(1e-3, 1e-3), 0)
    assert all(torch.equal(a, b) for a, b in zip(views[:8], views[8:], strict=True))
    assert not torch.equal(views[0], views[4])


def test_correct_is_one_for_each_test_image_that_gets_its_class():
    data = scenes()
    network = Classifier(data.model.encoder(), 16, 2).eval()
    with torch.no_grad():
        predicted = network(data.model.images("test", torch.arange(32))).argmax(dim=1)
    assert training().correct(network, data).tolist() == (predicted == data.test.labels).double().tolist()


def test_logits_that_are_not_finite_have_no_accuracy():
    data = scenes()
    network = Classifier(data.model.encoder(), 16, 2).eval()
    with torch.no_grad():
        network.head.bias[0] = float("nan")
    with pytest.raises(Unmeasurable, match="after training, the network's outputs hold NaN or infinity"):
        training().correct(network, data)


def test_float16_alone_scales_its_gradients():
    assert not gradient_scaler(scenes("fp32").model).is_enabled()
    assert not gradient_scaler(scenes("bf16").model).is_enabled()
    assert gradient_scaler(scenes("fp16").model).is_enabled()


def test_bf16_learns_as_well():
    network, recipe, data = trained(LearningRates(1e-2, 1e-2), scenes("bf16"), epochs=30)
    assert recipe.correct(network, data).mean() > 0.95


def test_given_weights_do_not_depend_on_the_seed():
    model = evaluated_scenes().model
    assert why_not_from_scratch(model, 0) == ""
    given = TrainedModel(model.method, lambda seed: evaluated_scenes().model.method, scenes().model._data, model.device)
    assert why_not_from_scratch(given, 0).startswith("the untrained network is the same for every seed")


def test_an_unknown_augmentation_is_named_with_its_parameter():
    with pytest.raises(UserError, match="test: augmentation: unknown augmentation 'affin'"):
        training(augmentation="affin")


def test_labels_of_other_images_do_not_matter():
    data = scenes()
    labels = data.train.labels.clone()
    labels[32:] = 1 - labels[32:]
    other = replace(data, train=replace(data.train, labels=labels))
    first, _, _ = trained(LearningRates(1e-3, 1e-3), data, torch.arange(32))
    second, _, _ = trained(LearningRates(1e-3, 1e-3), other, torch.arange(32))
    assert weights_digest(first) == weights_digest(second)
