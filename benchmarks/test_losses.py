"""Losses and moving averages, ours beside lightly's in one run (the extra `peers`), one thread each.

What a method does beside its backbone (projector, loss, queue) is measured for every method that is registered.
"""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from sslbench import Backbone, BuildContext, Progress, UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.fakes import TinyTokenBackbone
from sslbench.train.masks import draw_masks, most_masked
from sslbench_plugins.blocks.objectives.contrast import contrast, nt_xent
from sslbench_plugins.blocks.objectives.moving_average import ema_copy, ema_update
from sslbench_plugins.blocks.objectives.self_distillation import self_distillation, targets_of
from sslbench_plugins.methods.byol import regression

REGISTRY = Registry()
TRAINED = [name for name in REGISTRY.catalogue.names("method") if REGISTRY.get("method", name).trains]
WIDTH, IMAGES, SIDE = 512, 64, 16
PAIRS, DIM = 2048, 128
PROTOTYPES, BATCH, VIEWS = 65536, 16, 10


def lightly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("lightly.loss")


def peak_bytes(step):
    """Most memory that tensors made by ``step`` took at once, by torch's own account of allocations."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step()
    held = peak = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@pytest.fixture
def measured(benchmark, rounds):
    """Time a step, and note the most memory that it took."""

    def measure(group, step, **facts):
        benchmark.group = group
        benchmark.extra_info.update(facts, peak_bytes=peak_bytes(step))
        rounds(step)

    return measure


def embeddings():
    return [x.requires_grad_() for x in torch.randn(2, PAIRS, DIM, generator=torch.Generator().manual_seed(0))]


def test_nt_xent(measured):
    first, second = embeddings()
    measured("nt-xent", lambda: nt_xent(first, second, 0.5).backward(), against="lightly")


def test_nt_xent_by_lightly(measured):
    loss = lightly().NTXentLoss(0.5)
    first, second = embeddings()
    measured("nt-xent", lambda: loss(first, second).backward(), peer="lightly")


def test_cross_entropy_among_keys(measured):
    """Of MoCo v3: each query's positive among the keys of the batch."""
    queries, keys = (nn.functional.normalize(x.detach(), dim=1) for x in embeddings())
    queries, positives = queries.requires_grad_(), torch.arange(PAIRS)

    def step():
        queries.grad = None
        contrast(queries, keys, positives, 0.2).backward()

    measured("cross-entropy among keys", step, against="all logits at once")


def test_cross_entropy_among_keys_plainly(measured):
    queries, keys = (nn.functional.normalize(x.detach(), dim=1) for x in embeddings())
    queries, positives = queries.requires_grad_(), torch.arange(PAIRS)

    def step():
        queries.grad = None
        nn.functional.cross_entropy(queries @ keys.T / 0.2, positives).backward()

    measured("cross-entropy among keys", step, peer="all logits at once")


def test_regression(measured):
    """Of BYOL, and but for a factor of SimSiam."""
    first, second = embeddings()
    measured("cosine regression", lambda: regression(first, second.detach()).backward(), against="lightly")


def test_regression_by_lightly(measured):
    loss = lightly().NegativeCosineSimilarity()
    first, second = embeddings()
    measured("cosine regression", lambda: loss(first, second.detach()).backward(), peer="lightly")


class Features(Backbone):
    """Features as they come, multiplied by a weight so that gradients have somewhere to go."""

    feature_dim = WIDTH

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, images):
        return images.flatten(1)[:, :WIDTH] * self.weight


@pytest.mark.parametrize("name", TRAINED)
def test_all_but_the_backbone(benchmark, rounds, name):
    """Forward, backward and what follows a step; the optimizer is not in it."""
    spec = REGISTRY.get("method", name)
    params = spec.params(**spec.presets.get("cifar", spec.presets.get("quick", {})))
    ratio = 0.75 if "masking" in spec.uses else None
    context = {"classes": 10} if spec.uses_labels else {}
    backbone = TinyTokenBackbone(SIDE) if "tokens" in spec.needs else Features()
    try:
        method = spec.build(params, BuildContext(backbone=backbone, image_size=SIDE, mask_ratio=ratio, **context))
    except UserError as error:  # weights that are not on this machine
        pytest.skip(str(error))
    method.train()
    views = [torch.randn(IMAGES, 3, view.size, view.size) for view in method.views]
    given = {"labels": torch.arange(IMAGES) % 10} if spec.uses_labels else {}
    masks = draw_masks(method, None, ratio, IMAGES, torch.Generator().manual_seed(0))
    method.most_masked = most_masked(method, ratio, IMAGES, IMAGES)
    progress = Progress(500, 1000, 5, 10)

    def step():
        method.zero_grad(set_to_none=True)
        loss, _ = method(views, masks=masks, progress=progress, **given)
        loss.backward()
        method.after_step(progress)
        return loss

    benchmark.group = f"all but the backbone, {IMAGES} images"
    assert torch.isfinite(rounds(step))


def logits():
    generator = torch.Generator().manual_seed(0)
    students = torch.randn(VIEWS, BATCH, PROTOTYPES, generator=generator).requires_grad_()
    return students, torch.randn(2, BATCH, PROTOTYPES, generator=generator)


def test_dino_loss(measured):
    students, teachers = logits()
    centre = torch.zeros(PROTOTYPES)

    def step():
        students.grad = None
        self_distillation(students, targets_of(teachers, centre, 0.04), 0.1).backward()
        centre.lerp_(teachers.mean(dim=(0, 1)), 0.1)

    measured("dino loss", step, against="lightly")


def test_dino_loss_by_lightly(measured):
    loss = lightly().DINOLoss(output_dim=PROTOTYPES, teacher_temp=0.04, student_temp=0.1, warmup_teacher_temp_epochs=0)
    students, teachers = logits()

    def step():
        students.grad = None
        loss(list(teachers), list(students), epoch=0).backward()

    measured("dino loss", step, peer="lightly")


def network():
    return nn.Sequential(*(nn.Linear(128, 128) for _ in range(100)))


def test_moving_average(benchmark):
    online = network()
    target = ema_copy(online)
    benchmark.group = "moving average"
    benchmark.extra_info["against"] = "a loop"
    benchmark(ema_update, target, online, 0.99)


def test_moving_average_by_a_loop(benchmark):
    online = network()
    target = ema_copy(online)

    def step():
        for held, new in zip(target.parameters(), online.parameters(), strict=True):
            held.data = held.data * 0.99 + new.data * 0.01

    benchmark.group = "moving average"
    benchmark.extra_info["peer"] = "a loop"
    benchmark(step)
