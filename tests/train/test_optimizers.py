from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sslbench import scale_each
from sslbench.contracts.params import MethodParams
from sslbench.testing.pretended_gpu import PretendedGpu
from sslbench.train.graph_rates import DeviceRates
from sslbench.train.optimizers import (
    Lars,
    base_rate,
    build_optimizer,
    laid_out,
    set_rate,
    set_weight_decay,
)


class Calls(TorchDispatchMode):
    """``names``: of what is dispatched but views. A call for many tensors counts for each of them where it is given
    pairs of different shape or layout: for these torch has no kernel for many."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name.startswith("_foreach"):
            lists = [[(t.shape, t.stride()) for t in argument] for argument in args if isinstance(argument, list)]
            self.names += [name] * (1 if all(other == lists[0] for other in lists) else len(lists[0]))
        elif func.namespace == "aten" and not func.is_view:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


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


@pytest.mark.parametrize("inside", [True, False])
def test_lars_takes_its_rate_from_a_tensor(inside):
    def trained(as_tensors):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2)).to(memory_format=torch.channels_last)
        params = MethodParams(optimizer="lars", lr=0.2, lr_batch=0, lars_momentum="inside" if inside else "outside")
        groups = [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.1},
            {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0, "adapt": False},
        ]
        optimizer = build_optimizer(params, groups, 32)
        for factor in (1.0, 0.3, 0.7):
            set_rate(optimizer, factor)
            rates = DeviceRates(optimizer, decaying=False)
            numbers = torch.tensor(rates.numbers(), dtype=torch.float64)
            model.zero_grad()
            model(torch.ones(2, 3, 4, 4)).square().sum().backward()
            with rates.applied(numbers, capturing=False) if as_tensors else nullcontext():
                optimizer.step()
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.allclose(trained(True), trained(False), atol=1e-6)


def test_rates_are_tensors_and_adamw_can_be_captured_only_while_that_is_needed():
    model = nn.Linear(3, 2)
    optimizer = build_optimizer(MethodParams(lr=0.2, lr_batch=0), [{"params": list(model.parameters())}], 32)
    (group,) = optimizer.param_groups
    before, rates = dict(group), DeviceRates(optimizer, decaying=True)
    with rates.applied(torch.tensor([0.1, 0.9], dtype=torch.float64), capturing=True):
        assert (group["lr"].item(), group["lr"].dtype) == (pytest.approx(0.1), torch.float32)
        assert (group["capturable"], group["weight_decay"]) == (True, 0)
    assert group == before


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("scale", [None, 4.0])
def test_lars_takes_the_scalers_word_on_infinite_gradients_without_asking(inside, scale):
    """As torch's GradScaler leaves it: nothing moves, or the gradients are divided first."""
    torch.manual_seed(0)
    start = torch.randn(4, 3)

    def after(gradients, **of_scaler):
        w = nn.Parameter(start.clone())
        optimizer = Lars([{"params": [w], "weight_decay": 0.1}], lr=0.3, rate_inside=inside)
        for gradient in gradients:
            w.grad = gradient.clone()
            for name in of_scaler:
                setattr(optimizer, name, of_scaler[name].pop(0))
            optimizer.step()
        return w.detach()

    first, second = torch.randn(4, 3), torch.randn(4, 3)
    broken = torch.full((4, 3), float("inf"))
    broken[0] = float("nan")
    found = [torch.tensor(value) for value in (0.0, 1.0, 0.0)]
    scales = [None if scale is None else torch.tensor(scale)] * 3
    got = after([first * (scale or 1), broken, second * (scale or 1)], found_inf=found, grad_scale=scales)
    assert torch.allclose(got, after([first, second]), atol=1e-6)


def test_the_scaler_of_fp16_does_not_wait_for_lars():
    w = nn.Parameter(torch.ones(3))
    optimizer, scaler = Lars([w], lr=0.1), torch.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale((w * float("inf")).sum()).backward()
    scaler.unscale_(optimizer)
    with Calls() as calls:
        scaler.step(optimizer)
    assert w.tolist() == [1.0] * 3
    assert "_local_scalar_dense" not in calls.names
    assert optimizer.found_inf is None


@pytest.mark.pretended
@pytest.mark.parametrize("inside", [True, False])
def test_lars_launches_a_constant_number_of_kernels(inside):
    import timm

    network = timm.create_model("resnet50", num_classes=0).to(memory_format=torch.channels_last)
    with PretendedGpu() as gpu:
        gpu.take(network)
        parameters = list(network.parameters())
        for p in parameters:
            p.grad = torch.empty_like(p)
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 1e-6},
            {"params": [p for p in parameters if p.ndim == 1], "adapt": False},
        ]
        optimizer = Lars(groups, lr=0.1, rate_inside=inside)
        rates = DeviceRates(optimizer, decaying=False)
        with rates.applied(torch.ones(rates.count, dtype=torch.float64, device="cuda"), capturing=True):
            optimizer.step()
            copied = len(gpu.crossings)
            with Calls() as calls:
                optimizer.step()
        assert len(gpu.crossings) == copied
    assert len(parameters) == 159
    assert len(calls.names) <= 25


@pytest.mark.pretended
def test_each_tensor_is_multiplied_by_its_own_factor():
    torch.manual_seed(0)
    whole = [torch.randn(3, 4), torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last), torch.randn(())]
    factors = torch.tensor([2.0, 0.5, -1.0])
    expected = [t * factor for t, factor in zip(whole, factors, strict=True)]
    full = torch.cat([factor.expand(t.numel()) for factor, t in zip(factors, whole, strict=True)])
    for t, factor, right in zip(whole, laid_out(full, whole), expected, strict=True):
        assert factor.stride() == t.stride()
        assert torch.equal(t * factor, right)
    scale_each(whole, factors)
    assert all(map(torch.equal, whole, expected))
    with PretendedGpu():
        on_gpu = [torch.empty_strided(t.shape, t.stride(), device="cuda") for t in whole]
        factors = torch.ones(3, device="cuda")
        with Calls() as calls:
            scale_each(on_gpu, factors)
    assert calls.names == ["cat", "_foreach_mul_"]


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
