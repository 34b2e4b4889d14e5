from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from sslbench import UserError
from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyBackbone, TinyTokenBackbone
from sslbench.train.optimizers import build_optimizer
from sslbench_plugins.methods.swav import SwAV, SwAVParams

PROGRESS = Progress(0, 10, 0, 1)
SMALL = {"prototypes": 5, "hidden_dim": 16, "dim": 8, "local_crops": 2, "queue_start": 0, "freeze_prototypes": 0}


def build(backbone=None, size=16, **overrides):
    torch.manual_seed(0)
    return SwAV(SwAVParams(**{**SMALL, **overrides}), backbone or TinyBackbone(), size)


def crops(method, batch=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 3, view.size, view.size, generator=generator) for view in method.views]


def embed(method, views):
    """Unit embeddings of each crop: all crops of a size share a pass of the backbone, all crops one of the head."""
    groups = [views[:2], views[2:]] if len(views) > 2 else [views]
    features = torch.cat([method.backbone(torch.cat(group)) for group in groups])
    return [functional.normalize(z, dim=1) for z in method.projector(features).chunk(len(views))]


def plain_codes(scores, epsilon=0.05, iterations=3):
    """Caron et al. 2020, equation 5 and appendix A, an entry at a time in float64."""
    q = [[math.exp(value / epsilon) for value in row] for row in scores]
    for _ in range(iterations):
        for k in range(len(q[0])):
            total = sum(row[k] for row in q)
            for row in q:
                row[k] /= total
        q = [[value / sum(row) for value in row] for row in q]
    return [[value / sum(row) for value in row] for row in q]


def plain_loss(method, embeddings, past=None):
    """Equation 2 with multi-crop (section 3.3), a crop and an image at a time; ``past``: the queue's embeddings of each
    large crop."""
    prototypes = method.prototypes.double().tolist()

    def scores_of(rows):
        return [[sum(a * b for a, b in zip(row, c, strict=True)) for c in prototypes] for row in rows.double().tolist()]

    terms = []
    for t in (0, 1):
        own = scores_of(embeddings[t])
        codes = plain_codes(own + (scores_of(past[t]) if past else []))[: len(own)]
        for s in range(len(embeddings)):
            if s == t:
                continue
            for code, scores in zip(codes, scores_of(embeddings[s]), strict=True):
                total = math.log(sum(math.exp(value / 0.1) for value in scores))
                terms.append(-sum(q * (value / 0.1 - total) for q, value in zip(code, scores, strict=True)))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("local", [0, 2])
def test_the_loss_equals_the_plain_formula(local):
    method = build(local_crops=local)
    views = crops(method)
    with torch.no_grad():
        embeddings = embed(method, views)
        loss, scalars = method(views, masks=(), progress=PROGRESS)
    assert loss.item() == pytest.approx(plain_loss(method, embeddings), rel=1e-6)
    assert 0 < scalars["code_entropy"].item() < math.log(5)
    assert 0 < scalars["embedding_spread"].item() <= 1
    assert 1 < scalars["prototypes_used"].item() <= 5 + 1e-5


def test_the_gradient_flows_through_predictions_only():
    method = build(local_crops=0)
    views = crops(method)
    embeddings = torch.stack(embed(method, views))
    scores = embeddings @ method.prototypes.T
    codes = torch.tensor([plain_codes(one) for one in scores.tolist()])
    predicted = (scores / 0.1).log_softmax(-1)
    expected = -((codes[0] * predicted[1]).sum(-1).mean() + (codes[1] * predicted[0]).sum(-1).mean()) / 2
    trained = [method.prototypes, method.projector[0].weight]
    loss, _ = method(views, masks=(), progress=PROGRESS)
    assert torch.allclose(loss, expected, rtol=1e-5)
    for ours, plain in zip(torch.autograd.grad(loss, trained), torch.autograd.grad(expected, trained), strict=True):
        assert torch.allclose(ours, plain, atol=1e-5)


def test_the_queue_counts_when_it_is_full_and_then_as_rows_of_the_batch():
    method = build(queue_size=8)
    past = []
    for step in range(3):
        views = crops(method, seed=step)
        progress = Progress(step, 10, 0, 1)
        with torch.no_grad():
            embeddings = embed(method, views)
            loss, _ = method(views, masks=(), progress=progress)
        known = [torch.cat([rows[crop] for rows in past]) for crop in (0, 1)] if step == 2 else None
        assert loss.item() == pytest.approx(plain_loss(method, embeddings, known), rel=1e-6)
        if step == 2:
            assert loss.item() != pytest.approx(plain_loss(method, embeddings), rel=1e-4)
        method.after_step(progress)
        past.append(embeddings)
    assert torch.allclose(method.queue.keys[:4], torch.cat([past[2][0], past[2][1]], dim=1), atol=1e-6)
    assert int(method.queue.place) == 4


def test_the_queue_fills_from_its_epoch_on_and_is_saved():
    method = build(queue_size=8, queue_start=2)
    for epoch, filled in ((1, False), (2, True)):
        progress = Progress(5 * epoch, 20, epoch, 4)
        method(crops(method), masks=(), progress=progress)
        method.after_step(progress)
        assert method.queue.keys.any().item() is filled
    assert {"queue.keys", "queue.place"} <= set(method.state_dict())
    assert build().queue is None


def test_the_queue_takes_every_part_of_a_batch():
    method = build(queue_size=8)
    for part in range(2):
        method(crops(method, 2, seed=part), masks=(), progress=PROGRESS)
    assert not method.queue.keys.any()
    method.after_step(PROGRESS)
    assert int(method.queue.place) == 4
    assert method.queue.keys[:4].any(dim=1).all()
    assert not method.queue.keys[4:].any()


def test_prototypes_have_unit_length_and_stay_in_the_first_steps():
    method = build(freeze_prototypes=2)
    optimizer = build_optimizer(method.params, method.param_groups(0.1), 4096)
    moved = []
    for step in range(3):
        before, progress = method.prototypes.detach().clone(), Progress(step, 10, 0, 1)
        loss, _ = method(crops(method, seed=step), masks=(), progress=progress)
        optimizer.zero_grad()
        loss.backward()
        method.after_backward(progress)
        optimizer.step()
        method.after_step(progress)
        moved.append(not torch.allclose(method.prototypes, before, atol=1e-6))
        assert torch.allclose(method.prototypes.norm(dim=1), torch.ones(5))
    assert moved == [False, False, True]


def test_hard_codes_are_one_prototype_each():
    method = build(hard_codes=True)
    scores = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(0))
    hard = method.codes(scores, 0)
    soft = build().codes(scores, 0)
    assert torch.equal(hard.argmax(-1), soft.argmax(-1))
    assert hard.sum(-1).tolist() == [[1.0] * 4] * 2
    assert sorted(hard.unique().tolist()) == [0, 1]


def test_under_lars_biases_and_norms_are_decayed_and_adapted_like_weights():
    method = build()
    for group in build_optimizer(method.params, method.param_groups(1e-6), 4096).param_groups:
        assert (group["weight_decay"], group["adapt"], group["lr"]) == (1e-6, True, 4.8)


def test_it_asks_for_two_large_crops_and_six_small_ones():
    views = SwAV(SwAVParams(), TinyBackbone(), 224).views
    assert [(view.kind, view.size) for view in views] == [("global", 224)] * 2 + [("local", 96)] * 6


def test_a_small_crop_that_holds_no_whole_patch_is_refused():
    with pytest.raises(
        UserError, match="method 'swav': local_size = 6 px does not hold whole patches of 4 px; allowed"
    ):
        build(TinyTokenBackbone(16, 4), local_size=6)
    assert build(TinyTokenBackbone(16, 4)).views[2].size == 4


def trained(steps=100, **overrides):
    """The scalars after a few steps on views that are noise around 32 images."""
    method = build(size=8, local_crops=0, **overrides)
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(32, 3, 8, 8, generator=generator)
    for step in range(steps):
        views = [images + 0.3 * torch.randn(images.shape, generator=generator) for _ in range(2)]
        progress = Progress(step, steps, 0, 1)
        loss, scalars = method(views, masks=(), progress=progress)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step(progress)
    return {name: value.item() for name, value in scalars.items()}


def test_without_equal_shares_most_prototypes_are_given_up_or_all_images_get_one_code():
    assert trained()["prototypes_used"] > 4
    assert trained(sinkhorn_iterations=0)["prototypes_used"] < 3
    assert trained(sinkhorn_iterations=0, epsilon=0.1)["embedding_spread"] < 0.1
