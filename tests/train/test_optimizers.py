from __future__ import annotations

import pytest
import torch
from torch import nn

from sslbench.contracts.params import MethodParams
from sslbench.train.optimizers import Lars, base_rate, build_optimizer, set_rate, set_weight_decay


def plain_lars(w, grads, rates, momentum, decay, eta, adapt, inside):
    """You et al. 2017 with the momentum of SimCLR (rate inside) or BYOL (outside), one tensor, in plain numbers."""
    buffer = torch.zeros_like(w)
    for g, lr in zip(grads, rates, strict=True):
        u = g + decay * w
        if adapt and w.norm() > 0 and u.norm() > 0:
            u = u * (eta * w.norm() / u.norm())
        buffer = momentum * buffer + (lr * u if inside else u)
        w = w - (buffer if inside else lr * buffer)
    return w


@pytest.mark.parametrize("adapt", [True, False])
@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize("inside", [True, False])
def test_lars_equals_the_plain_formula_while_the_rate_changes(adapt, start, inside):
    generator = torch.Generator().manual_seed(0)
    w = nn.Parameter(start * torch.randn(4, 3, generator=generator))
    grads = [torch.randn(4, 3, generator=generator) for _ in range(5)]
    rates = [0.1, 0.2, 0.3, 0.15, 0.05]
    expected = plain_lars(w.detach().clone(), grads, rates, 0.9, 1e-2, 1e-3, adapt, inside)
    optimizer = Lars([{"params": [w], "weight_decay": 1e-2, "adapt": adapt}], lr=0.3, rate_inside=inside)
    for g, rate in zip(grads, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        w.grad = g.clone()
        optimizer.step()
    assert torch.allclose(w, expected, atol=1e-6)


def test_lars_leaves_parameters_without_gradient_alone():
    w = nn.Parameter(torch.ones(2, 2))
    Lars([w], lr=1.0).step()
    assert torch.equal(w.detach(), torch.ones(2, 2))


def test_the_rate_scales_with_the_batch_unless_told_not_to():
    assert base_rate(MethodParams(lr=0.3, lr_batch=256), 512) == pytest.approx(0.6)
    assert base_rate(MethodParams(lr=0.3, lr_batch=0), 512) == 0.3
    # DINOv2: 0.004 x sqrt(batch / 1024)
    assert base_rate(MethodParams(lr=0.004, lr_batch=1024, lr_scaling="sqrt"), 256) == pytest.approx(0.002)
    assert base_rate(MethodParams(lr=0.004, lr_batch=0, lr_scaling="sqrt"), 256) == 0.004


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
def test_every_optimizer_keeps_groups_apart_and_its_rate_is_the_schedules(name):
    model = nn.Linear(3, 2)
    groups = [
        {"params": [model.weight], "weight_decay": 0.1},
        {"params": [model.bias], "weight_decay": 0.0, "adapt": False},
        {"params": []},
    ]
    optimizer = build_optimizer(MethodParams(optimizer=name, lr=0.2, lr_batch=0), groups, 32)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    set_rate(optimizer, 0.5)
    set_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.05]
    before = model.weight.detach().clone()
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert not torch.equal(before, model.weight)


def test_a_group_may_keep_its_rate_and_a_decay_its_schedule():
    model = nn.Linear(3, 2)
    groups = [
        {"params": [model.weight], "weight_decay": 0.1, "constant_lr": True},
        {"params": [model.bias], "weight_decay": 0.0},
    ]
    optimizer = build_optimizer(MethodParams(lr=0.2, lr_batch=0), groups, 32)
    set_rate(optimizer, 0.5)
    set_weight_decay(optimizer, 0.4)
    assert [(g["lr"], g["weight_decay"]) for g in optimizer.param_groups] == [(0.2, 0.4), (0.1, 0.0)]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lars"])
def test_a_groups_scale_multiplies_its_rate_at_every_step(optimizer):
    model = nn.Linear(3, 2)
    groups = [
        {"params": [model.weight], "weight_decay": 0.1, "lr_scale": 0.25},
        {"params": [model.bias], "weight_decay": 0.0},
    ]
    built = build_optimizer(MethodParams(optimizer=optimizer, lr=0.2, lr_batch=0), groups, 32)
    assert [g["lr"] for g in built.param_groups] == [0.05, 0.2]
    set_rate(built, 0.5)
    assert [g["lr"] for g in built.param_groups] == [0.025, 0.1]


def test_biases_and_norms_are_decayed_where_a_recipe_says_so():
    model = nn.Linear(3, 2)
    groups = [{"params": [model.weight], "weight_decay": 0.1}, {"params": [model.bias], "weight_decay": 0.0}]
    params = MethodParams(optimizer="sgd", weight_decay=0.1, decay_all=True)
    assert [g["weight_decay"] for g in build_optimizer(params, groups, 32).param_groups] == [0.1, 0.1]
