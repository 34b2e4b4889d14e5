from __future__ import annotations

import pytest
import torch
from torch import nn

from sslbench import UserError
from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyBackbone
from sslbench_plugins.methods.vicreg import VICReg, VICRegParams

PROGRESS = Progress(0, 10, 0, 1)


def build(**overrides):
    torch.manual_seed(0)
    return VICReg(VICRegParams(**{"hidden_dim": 16, "dim": 8, **overrides}), TinyBackbone(), 8)


def pair(batch=6):
    return list(torch.randn(2, batch, 3, 8, 8, generator=torch.Generator().manual_seed(1)))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def plain_loss(a, b, weights=(25.0, 25.0, 1.0)):
    """Bardes et al. 2022, algorithm 1, with the halves of the authors' code, an entry at a time in float64."""
    a, b = a.double().tolist(), b.double().tolist()
    n, dims = len(a), len(a[0])
    invariance = mean((x - y) ** 2 for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True))
    hinges, redundancies = [], []
    for z in (a, b):
        columns = [[row[j] for row in z] for j in range(dims)]
        columns = [[value - mean(column) for value in column] for column in columns]
        products = [[sum(x * y for x, y in zip(p, q, strict=True)) / (n - 1) for q in columns] for p in columns]
        hinges.append(mean(max(0.0, 1 - (products[j][j] + 1e-4) ** 0.5) for j in range(dims)))
        redundancies.append(sum(products[i][j] ** 2 for i in range(dims) for j in range(dims) if i != j) / dims)
    return weights[0] * invariance + weights[1] * mean(hinges) + weights[2] * sum(redundancies)


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (0.0, 25.0, 1.0), (25.0, 0.0, 1.0), (25.0, 25.0, 0.0)])
def test_the_loss_equals_the_plain_formula_also_without_one_of_its_terms(weights):
    names = ("invariance_weight", "variance_weight", "covariance_weight")
    method = build(**dict(zip(names, weights, strict=True)))
    views = pair()
    with torch.no_grad():
        embeddings = [method.expander(method.backbone(view)) for view in views]
        loss, scalars = method(views, masks=(), progress=PROGRESS)
    assert loss.item() == pytest.approx(plain_loss(*embeddings, weights), rel=1e-6)
    terms = [scalars[name].item() for name in ("invariance", "variance", "covariance")]
    assert loss.item() == pytest.approx(sum(w * t for w, t in zip(weights, terms, strict=True)), rel=1e-6)
    assert 0 < scalars["embedding_spread"].item() <= 1
    assert 1 <= scalars["embedding_dimensions"].item() <= 8


def test_the_expander_is_the_papers_and_is_not_evaluated():
    with torch.device("meta"):
        method = VICReg(VICRegParams(), TinyBackbone(16), 8)
    layers = [type(layer) for layer in method.expander]
    assert layers == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert [p.shape[0] for p in method.expander.parameters() if p.ndim == 2] == [8192] * 3
    assert method.encoder is method.backbone


def test_each_view_has_batch_statistics_of_its_own():
    method = build()
    batches = []
    method.backbone.net[1].register_forward_hook(lambda module, args, out: batches.append(len(args[0])))
    method(pair(), masks=(), progress=PROGRESS)
    assert batches == [6, 6]


def test_one_image_has_no_variance():
    with pytest.raises(UserError, match="batch of 1: batch norm needs at least 2 images at once"):
        build().check_batch(1)
    method = build(expander_layers=1)
    method.backbone = nn.Flatten()
    with pytest.raises(UserError, match="method 'vicreg': the variance of a batch needs 2 images or more at once; thi"):
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


def test_each_term_does_what_the_paper_says():
    whole = trained()
    without_variance, without_covariance = trained(variance_weight=0), trained(covariance_weight=0)
    without_invariance = trained(invariance_weight=0)
    assert whole["embedding_spread"] > 0.9
    assert without_variance["embedding_spread"] < 0.05
    assert without_covariance["embedding_dimensions"] < 0.7 * whole["embedding_dimensions"]
    assert without_invariance["invariance"] > 2 * whole["invariance"]
