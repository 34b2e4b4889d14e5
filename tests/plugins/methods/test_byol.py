from __future__ import annotations

import math

import pytest
import torch

from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyBackbone
from sslbench_plugins.methods.byol import BYOL, BYOLParams
from sslbench_plugins.methods.simsiam import SimSiam, SimSiamParams

PROGRESS = Progress(0, 10, 0, 1)


def build(**overrides):
    torch.manual_seed(0)
    return BYOL(BYOLParams(**{"hidden_dim": 16, "dim": 8, **overrides}), TinyBackbone(), 8)


def pair(batch=6):
    return list(torch.randn(2, batch, 3, 8, 8, generator=torch.Generator().manual_seed(1)))


def squared_distance(p, z):
    """Grill et al. 2020, equation 2: of the unit vectors, one pair at a time."""
    return torch.stack([(a / a.norm() - b / b.norm()).square().sum() for a, b in zip(p, z, strict=True)]).mean()


def test_the_loss_equals_the_plain_formula():
    method = build()
    with torch.no_grad():
        for p in method.target_backbone.parameters():
            p.mul_(1.1)
    a, b = pair()
    p1, p2 = (method.predictor(method.projector(method.backbone(view))) for view in (a, b))
    z1, z2 = (method.target_projector(method.target_backbone(view)) for view in (a, b))
    loss, _ = method([a, b], masks=(), progress=PROGRESS)
    assert torch.allclose(loss, squared_distance(p1, z2) + squared_distance(p2, z1), rtol=1e-5)


def test_each_view_has_batch_statistics_of_its_own():
    method = build()
    a, b = pair()
    batches = []
    method.backbone.net[1].register_forward_hook(lambda module, args, out: batches.append(len(args[0])))
    method([a, b], masks=(), progress=PROGRESS)
    assert batches == [6, 6]


@pytest.mark.parametrize("step", [0, 3, 9])
def test_the_targets_momentum_rises_on_the_papers_cosine(step):
    method = build(target_momentum=0.9)
    before = [p.clone() for p in method.target_backbone.parameters()]
    with torch.no_grad():
        for p in method.backbone.parameters():
            p.add_(1.0)
    method.after_step(Progress(step, 10, 0, 1))
    tau = 1 - (1 - 0.9) * (math.cos(math.pi * step / 10) + 1) / 2
    for was, now, online in zip(before, method.target_backbone.parameters(), method.backbone.parameters(), strict=True):
        assert torch.allclose(now, tau * was + (1 - tau) * online, atol=1e-6)


def test_batch_norm_statistics_are_not_averaged():
    method = build()
    method(pair(), masks=(), progress=PROGRESS)
    own = method.target_backbone.net[1].running_mean.clone()
    method.after_step(PROGRESS)
    assert torch.equal(method.target_backbone.net[1].running_mean, own)


def test_without_stop_gradient_and_predictor_the_network_is_its_own_target():
    method = build(stop_gradient=False, predictor=False)
    assert not hasattr(method, "target_backbone")
    a, _ = pair()
    with torch.no_grad():
        loss, _ = method([a, a.clone()], masks=(), progress=PROGRESS)
    assert loss.item() == pytest.approx(0, abs=1e-5)


def test_nothing_is_learnt_through_the_target():
    method = build()
    a, b = pair()
    loss, _ = method([a, b], masks=(), progress=PROGRESS)
    loss.backward()
    assert all(p.grad is None for p in method.target_backbone.parameters())
    assert all(p.grad is not None for p in method.backbone.parameters())


@pytest.mark.parametrize("stop", [True, False])
def test_simsiam_equals_the_papers_pseudocode(stop):
    torch.manual_seed(0)
    params = SimSiamParams(projector_dim=8, predictor_dim=4, stop_gradient=stop)
    method = SimSiam(params, TinyBackbone(), 8)
    a, b = pair()
    z1, z2 = (method.projector(method.backbone(view)) for view in (a, b))
    p1, p2 = method.predictor(z1), method.predictor(z2)

    def d(p, z):
        z = z.detach() if stop else z
        return -((p / p.norm(dim=1, keepdim=True)) * (z / z.norm(dim=1, keepdim=True))).sum(1).mean()

    expected = d(p1, z2) / 2 + d(p2, z1) / 2
    loss, _ = method([a, b], masks=(), progress=PROGRESS)
    assert torch.allclose(loss, expected, rtol=1e-5)
    weight = method.backbone.net[0].weight
    (expected_gradient,) = torch.autograd.grad(expected, weight)
    (gradient,) = torch.autograd.grad(loss, weight)
    assert torch.allclose(gradient, expected_gradient, atol=1e-6)


def test_simsiams_predictor_keeps_its_rate():
    method = SimSiam(SimSiamParams(projector_dim=8, predictor_dim=4), TinyBackbone(), 8)
    constant = [p for group in method.param_groups(0.1) if group.get("constant_lr") for p in group["params"]]
    assert {id(p) for p in constant} == {id(p) for p in method.predictor.parameters()}
