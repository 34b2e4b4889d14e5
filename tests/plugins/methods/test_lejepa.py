from __future__ import annotations

import pytest
import torch

from sslbench import UserError
from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyBackbone, TinyTokenBackbone
from sslbench_plugins.blocks.objectives.sigreg import sigreg, unit_slices
from sslbench_plugins.methods.lejepa import LeJEPA, LeJEPAParams, prediction_loss

SMALL = {"hidden_dim": 16, "projector_dim": 4, "slices": 32}


def build(backbone=None, size=16, **overrides):
    torch.manual_seed(0)
    return LeJEPA(LeJEPAParams(**{**SMALL, **overrides}), backbone or TinyBackbone(), size)


def views_of(method, batch=6):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(batch, 3, view.size, view.size, generator=generator) for view in method.views]


def plain_prediction(embeddings, global_views):
    """The mean over views, images and dimensions of (mu - z)^2, mu being the mean of the image's global views."""
    terms = []
    for image in range(embeddings.shape[1]):
        for dim in range(embeddings.shape[2]):
            mu = sum(embeddings[view, image, dim].item() for view in range(global_views)) / global_views
            terms += [(mu - embeddings[view, image, dim].item()) ** 2 for view in range(len(embeddings))]
    return sum(terms) / len(terms)


@pytest.mark.parametrize(("views", "global_views"), [(4, 4), (5, 2), (3, 1)])
def test_the_prediction_loss_equals_the_plain_formula(views, global_views):
    embeddings = torch.randn(views, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    loss = prediction_loss(embeddings, global_views).item()
    assert loss == pytest.approx(plain_prediction(embeddings, global_views), rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_the_loss_is_lambda_of_sigreg_and_the_rest_of_prediction(share):
    method = build(sigreg=share, local_views=3, knots=9, knot_reach=2.0)
    views, progress = views_of(method), Progress(7, 10, 0, 1)
    embeddings = method.projector(torch.cat([method.backbone(torch.cat(v)) for v in (views[:2], views[2:])]))
    embeddings = embeddings.detach().double().view(5, 6, 4)
    slices = unit_slices(4, 32, 7, torch.device("cpu")).double()
    prediction, regulariser = plain_prediction(embeddings, 2), sigreg(embeddings, slices, 9, 2.0).item()
    loss, scalars = method(views, masks=(), progress=progress)
    assert loss.item() == pytest.approx((1 - share) * prediction + share * regulariser, rel=1e-5)
    assert scalars["prediction"].item() == pytest.approx(prediction, rel=1e-5)
    assert scalars["sigreg"].item() == pytest.approx(regulariser, rel=1e-5)


def test_the_gradient_flows_through_the_mean_as_well():
    embeddings = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad(prediction_loss(embeddings, 2), embeddings)
    mu = embeddings[:2].mean(dim=0)
    behind_a_stop = -2 * (mu - embeddings) / embeddings.numel()
    assert torch.allclose(gradient[2], behind_a_stop[2])
    assert not torch.allclose(gradient[:2], behind_a_stop[:2], rtol=0.1)


def test_it_asks_for_global_views_and_small_ones_and_nothing_is_a_teacher():
    method = build(size=224)
    assert [(view.kind, view.size) for view in method.views] == [("global", 224)] * 2 + [("local", 96)] * 6
    assert method.encoder is method.backbone
    assert all(p.requires_grad for p in method.parameters())
    widths = [p.shape[0] for p in method.projector.parameters() if p.ndim == 2]
    assert widths == [16, 16, 4]


def test_a_small_view_that_holds_no_whole_patch_is_refused():
    with pytest.raises(UserError, match="method 'lejepa': local_size = 6 px does not hold whole patches of 4 px"):
        build(TinyTokenBackbone(16, 4), local_size=6)
    assert build(TinyTokenBackbone(16, 4), local_size=6, local_views=0).views


def spread_after(steps, **overrides):
    """Of the embeddings after training on the same images."""
    method = build(size=8, local_views=0, **overrides)
    optimizer = torch.optim.AdamW(method.parameters(), lr=0.05)
    views = views_of(method, batch=16)
    for step in range(steps):
        noisy = [view + torch.randn(view.shape) for view in views[:1] * 2]
        loss, scalars = method(noisy, masks=(), progress=Progress(step, steps, 0, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return scalars["embedding_spread"].item()


def test_without_sigreg_it_collapses_and_with_it_nothing_else_is_needed():
    assert spread_after(60, sigreg=0.0) < 0.05
    assert spread_after(60, sigreg=0.05) > 0.5
