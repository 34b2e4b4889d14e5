from __future__ import annotations

import pytest
import torch
from torch import nn

from sslbench import UserError
from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyBackbone
from sslbench.train.optimizers import build_optimizer
from sslbench_plugins.methods.barlow_twins import BarlowTwins, BarlowTwinsParams

PROGRESS = Progress(0, 10, 0, 1)


def build(**overrides):
    torch.manual_seed(0)
    return BarlowTwins(BarlowTwinsParams(**{"hidden_dim": 16, "dim": 8, **overrides}), TinyBackbone(), 8)


def pair(batch=6):
    return list(torch.randn(2, batch, 3, 8, 8, generator=torch.Generator().manual_seed(1)))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def plain_loss(a, b, invariance=1.0, redundancy=0.0051):
    """Zbontar et al. 2021, equations 1 and 2, an entry at a time in float64; 1e-5 is batch norm's."""
    a, b = a.double().tolist(), b.double().tolist()
    dims = range(len(a[0]))
    columns = [[[row[j] for row in z] for j in dims] for z in (a, b)]
    columns = [[[value - mean(column) for value in column] for column in side] for side in columns]
    lengths = [[(mean(v * v for v in column) + 1e-5) ** 0.5 for column in side] for side in columns]
    loss = 0.0
    for i in dims:
        for j in dims:
            product = mean(x * y for x, y in zip(columns[0][i], columns[1][j], strict=True))
            entry = product / lengths[0][i] / lengths[1][j]
            loss += invariance * (1 - entry) ** 2 if i == j else redundancy * entry**2
    return loss


@pytest.mark.parametrize("weights", [(1.0, 0.0051), (0.0, 0.0051), (1.0, 0.0), (1.0, 0.5)])
def test_the_loss_equals_the_plain_formula_also_with_one_term_only(weights):
    method = build(invariance_weight=weights[0], redundancy_weight=weights[1])
    views = pair()
    with torch.no_grad():
        embeddings = [method.projector(method.backbone(view)) for view in views]
        loss, scalars = method(views, masks=(), progress=PROGRESS)
    assert loss.item() == pytest.approx(plain_loss(*embeddings, *weights), rel=1e-6)
    terms = [scalars[name].item() for name in ("invariance", "redundancy")]
    assert loss.item() == pytest.approx(sum(w * t for w, t in zip(weights, terms, strict=True)), rel=1e-6)
    assert 0 < scalars["embedding_spread"].item() <= 1


def test_the_projector_is_the_papers_and_is_not_evaluated():
    with torch.device("meta"):
        method = BarlowTwins(BarlowTwinsParams(), TinyBackbone(16), 8)
    layers = [type(layer) for layer in method.projector]
    assert layers == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert [tuple(p.shape) for p in method.projector.parameters() if p.ndim == 2][1:] == [(8192, 8192)] * 2
    assert method.encoder is method.backbone


def test_without_batch_norm_the_projector_has_biases_in_its_place():
    layers = build(projector_norm=False).projector
    assert [type(layer) for layer in layers] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert [layer.bias is not None for layer in layers if isinstance(layer, nn.Linear)] == [True, True, False]


def test_it_needs_no_asymmetry_and_can_be_given_both():
    assert isinstance(build().predictor, nn.Identity)
    views = pair()
    method = build(predictor=True)
    with torch.no_grad():
        a, b = (method.projector(method.backbone(view)) for view in views)
        loss, _ = method(views, masks=(), progress=PROGRESS)
        assert loss.item() == pytest.approx(plain_loss(method.predictor(a), b), rel=1e-6)

    def gradient(**overrides):
        method = build(**overrides)
        method.expected = [method.projector(method.backbone(view)) for view in views]
        method.backbone.zero_grad()
        loss, _ = method(views, masks=(), progress=PROGRESS)
        loss.backward()
        return method.backbone.net[0].weight.grad

    whole, of_first = gradient(), gradient(stop_gradient=True)
    of_second = build(stop_gradient=True)
    loss, _ = of_second([views[1], views[0]], masks=(), progress=PROGRESS)
    loss.backward()
    # C of the views in the other order is the transposed one, with the same loss.
    assert torch.allclose(whole, of_first + of_second.backbone.net[0].weight.grad, atol=1e-6)
    assert not torch.allclose(whole, of_first, atol=1e-4)


def test_biases_and_norms_have_the_papers_rate_of_their_own():
    method = build()
    rates = {}
    for group in build_optimizer(method.params, method.param_groups(1e-6), 512).param_groups:
        for p in group["params"]:
            rates[id(p)] = group["lr"], group["weight_decay"], group["adapt"]
    for p in method.parameters():
        lr, decay, adapt = rates[id(p)]
        assert lr == pytest.approx(0.4 if p.ndim > 1 else 0.0096)
        assert (decay, adapt) == ((1e-6, True) if p.ndim > 1 else (0, False))
    alike = build(bias_lr=0)
    assert {group["lr"] for group in build_optimizer(alike.params, alike.param_groups(0), 256).param_groups} == {0.2}


def test_one_image_has_no_correlation():
    method = build(projector_norm=False)
    method.backbone = nn.Flatten()
    with pytest.raises(UserError, match="method 'barlow-twins': the correlation over a batch needs 2 images or more"):
        method.check_batch(1)
    method.check_batch(2)


def trained(steps=60, **overrides):
    """The scalars after a few steps on views that are noise around 32 images."""
    method = build(dim=16, **overrides)
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(32, 3, 8, 8, generator=generator)
    for _ in range(steps):
        views = [images + 0.3 * torch.randn(images.shape, generator=generator) for _ in range(2)]
        loss, scalars = method(views, masks=(), progress=PROGRESS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: value.item() for name, value in scalars.items()}


def test_it_does_not_collapse_without_a_teacher_and_without_redundancy_reduction_dimensions_repeat_each_other():
    whole, repeated = trained(), trained(redundancy_weight=0)
    assert whole["embedding_spread"] > 0.5
    assert whole["invariance"] < 16 / 4
    assert repeated["redundancy"] > 2 * whole["redundancy"]
