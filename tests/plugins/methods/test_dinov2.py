from __future__ import annotations

import math

import pytest
import torch

from sslbench import UserError
from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyTokenBackbone
from sslbench.train.masks import draw_masks, most_masked
from sslbench.train.optimizers import build_optimizer
from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage
from sslbench_plugins.methods.dinov2 import DINOv2, DINOv2Params

SMALL = {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8, "local_crops": 2, "drop_path": 0}
START = Progress(0, 10, 0, 1)


def build(backbone=None, **overrides):
    torch.manual_seed(0)
    network = backbone or ViTSmallImage(ViTParams(dim=24, depth=2, heads=2, patch_size=4, pool="class"), 16)
    return DINOv2(DINOv2Params(**{**SMALL, **overrides}), network, 16, 0.3).double()


def crops(method, batch=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    sizes = [view.size for view in method.views]
    return [torch.randn(batch, 3, size, size, generator=generator, dtype=torch.float64) for size in sizes]


def masks_of(method, batch=4, seed=0):
    method.most_masked = most_masked(method, 0.3, batch, batch)
    return draw_masks(method, None, 0.3, batch, torch.Generator().manual_seed(seed))


def changed(method):
    """With running means and a teacher of its own, and a mask token."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        method.mask_tokens.token.normal_(generator=generator)
        for centre in (method.centre, method.patch_centre):
            centre.copy_(0.1 * torch.randn(centre.shape, generator=generator))
        for p in [*method.teacher_backbone.parameters(), *method.teacher_heads.parameters()]:
            p.add_(0.02 * torch.randn(p.shape, generator=generator).to(p.dtype))
    return method


def plain_sinkhorn(rows, temperature, iterations):
    """Oquab et al. 2023, section 4, as the authors' code: a matrix of sum 1, its columns then its rows made alike."""
    q = torch.stack([(row / temperature).exp() for row in rows])
    q = q / q.sum()
    for _ in range(iterations):
        q = q / q.sum(0, keepdim=True) / q.shape[1]
        q = q / q.sum(1, keepdim=True) / q.shape[0]
    return q * len(q)


def cross_entropy(target, student):
    return -(target * (student / 0.1).log_softmax(0)).sum()


def plain_koleo(rows):
    unit = [row / row.norm() for row in rows]
    nearest = [min((a - b).norm() for j, b in enumerate(unit) if j != i) for i, a in enumerate(unit)]
    return -sum(distance.log() for distance in nearest) / len(rows)


def plain_losses(method, views, masks, temperature, centring="sinkhorn"):
    """The authors' `ssl_meta_arch.py`, image by image: DINO's loss, iBOT's, KoLeo of both large crops, and the mean
    outputs of the teacher for images and for masked patches."""
    student, teacher, batch = method.backbone, method.teacher_backbone, len(views[0])
    heads, teacher_heads = method.heads, method.teacher_heads
    features, tokens = [], []
    for view, mask in zip(views, masks, strict=False):
        embedded = torch.where(
            mask[:, :, None], method.mask_tokens.token + student.positions(student.grid), student.embed(view)
        )
        tokens.append(student.encode(embedded))
        features.append(student.pool(tokens[-1]))
    students = [heads[0](crop) for crop in [*features, *(student(view) for view in views[2:])]]
    seen = [teacher.encode(teacher.embed(view)) for view in views[:2]]
    rows = torch.cat([teacher_heads[0](teacher.pool(crop)) for crop in seen])
    places = [(v, b, n) for v in range(2) for b in range(batch) for n in range(16) if masks[v][b, n]]
    patch_rows = torch.stack([teacher_heads[-1](seen[v][b, 1 + n]) for v, b, n in places])
    if centring == "sinkhorn":
        targets, patch_targets = (plain_sinkhorn(each, temperature, 3) for each in (rows, patch_rows))
    else:
        targets = ((rows - method.centre) / temperature).softmax(1)
        patch_targets = ((patch_rows - method.patch_centre) / temperature).softmax(1)
    targets = targets.view(2, batch, -1)
    of_images = [
        sum(cross_entropy(targets[t, b], students[v][b]) for b in range(batch)) / batch
        for t in range(2)
        for v in range(len(views))
        if v != t
    ]
    # The weight of a masked patch is one over the number of them in its crop; crops without any count.
    of_patches = sum(
        cross_entropy(target, heads[-1](tokens[v][b, 1 + n])) / masks[v][b].sum()
        for (v, b, n), target in zip(places, patch_targets, strict=True)
    )
    koleos = [plain_koleo(crop) for crop in features]
    return sum(of_images) / len(of_images), of_patches / (2 * batch), koleos, rows.mean(0), patch_rows.mean(0)


@pytest.mark.parametrize("crops_of_koleo", [1, 2])
@pytest.mark.parametrize("heads", ["separate", "shared"])
def test_the_losses_equal_the_plain_formulas(heads, crops_of_koleo):
    given = {"heads": heads, "class_weight": 0.7, "patch_weight": 1.3, "koleo": 0.2, "koleo_crops": crops_of_koleo}
    method = changed(build(**given, teacher_warmup_epochs=0))
    views, masks = crops(method), masks_of(method)
    assert any(not row.any() for mask in masks for row in mask)
    of_images, of_patches, koleos, _, _ = plain_losses(method, views, masks, 0.07)
    loss, scalars = method(views, masks=masks, progress=START)
    spread = sum(koleos[:crops_of_koleo])
    assert scalars["class_loss"].item() == pytest.approx(of_images.item(), rel=1e-6)
    assert scalars["patch_loss"].item() == pytest.approx(of_patches.item(), rel=1e-6)
    assert scalars["koleo"].item() == pytest.approx(spread.item(), rel=1e-6)
    assert loss.item() == pytest.approx((0.7 * of_images + 1.3 * of_patches + 0.2 * spread).item(), rel=1e-6)
    centres = method.centre.clone(), method.patch_centre.clone()
    method.after_step(START)
    assert torch.equal(method.centre, centres[0])
    assert torch.equal(method.patch_centre, centres[1])


def test_its_gradient_is_that_of_the_plain_formulas():
    method = changed(build(teacher_warmup_epochs=0))
    views, masks = crops(method), masks_of(method)
    of_images, of_patches, koleos, _, _ = plain_losses(method, views, masks, 0.07)
    trained = {name: p for name, p in method.named_parameters() if p.requires_grad}
    expected = torch.autograd.grad(of_images + of_patches + 0.1 * koleos[0], trained.values())
    found = torch.autograd.grad(method(views, masks=masks, progress=START)[0], trained.values())
    for name, a, b in zip(trained, found, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-6 * max(1, b.abs().max().item())), name


def test_with_a_softmax_both_running_means_move_by_what_counts():
    method = changed(build(centring="softmax", koleo=0, teacher_warmup_epochs=0))
    views, masks = crops(method), masks_of(method)
    of_images, of_patches, _, mean, patch_mean = plain_losses(method, views, masks, 0.07, "softmax")
    centres = method.centre.clone(), method.patch_centre.clone()
    loss, scalars = method(views, masks=masks, progress=START)
    assert loss.item() == pytest.approx((of_images + of_patches).item(), rel=1e-6)
    assert "koleo" not in scalars
    method.after_step(START)
    assert torch.allclose(method.centre, 0.9 * centres[0] + 0.1 * mean, atol=1e-7)
    assert torch.allclose(method.patch_centre, 0.9 * centres[1] + 0.1 * patch_mean, atol=1e-7)


def test_with_a_softmax_the_means_of_a_batch_in_parts_are_those_of_the_whole():
    centres = []
    for parts in (1, 2, 4):
        method = changed(build(centring="softmax", koleo=0))
        views, masks = crops(method), masks_of(method)
        for part in range(parts):
            v, m = ([tensor.chunk(parts)[part] for tensor in tensors] for tensors in (views, masks))
            method(v, masks=m, progress=START)
        method.after_step(START)
        centres.append(torch.stack([method.centre, method.patch_centre]))
    assert torch.allclose(centres[1], centres[0], atol=1e-7)
    assert torch.allclose(centres[2], centres[0], atol=1e-7)


@pytest.mark.parametrize(("gone", "left"), [("class_weight", "patch_loss"), ("patch_weight", "class_loss")])
def test_each_loss_can_be_taken_away(gone, left):
    method = changed(build(**{gone: 0}, koleo=0))
    views, masks = crops(method), masks_of(method)
    loss, scalars = method(views, masks=masks, progress=START)
    assert torch.equal(loss.detach(), scalars[left])
    assert bool(masks) is (gone == "class_weight")


def test_the_teachers_temperature_rises_step_by_step():
    method = build(teacher_warmup_epochs=2)
    temperatures = [method.temperature(Progress(step, 12, step // 2, 6)) for step in range(6)]
    assert temperatures == pytest.approx([0.04, 0.05, 0.06, 0.07, 0.07, 0.07])


def test_rates_decay_from_block_to_block_and_prototypes_and_heads_have_the_full_one():
    method = build(layer_decay=0.5)
    optimizer = build_optimizer(method.params, method.param_groups(0.04), 256)
    peak = 0.004 * math.sqrt(256 / 1024)
    rates = {id(p): group["lr"] / peak for group in optimizer.param_groups for p in group["params"]}
    named = {name: rates.pop(id(p)) for name, p in method.named_parameters() if p.requires_grad}
    assert not rates, "each trained parameter is there once, and no other"
    expected = {
        "mask_tokens.token": 1 / 8,
        "backbone.class_token": 1 / 8,
        "backbone.patch_embed.weight": 0.2 / 8,
        "backbone.patch_embed.bias": 0.2 / 8,
        "backbone.blocks.0.qkv.weight": 1 / 4,
        "backbone.blocks.1.mlp.2.bias": 1 / 2,
        "backbone.norm.weight": 1,
        "heads.0.prototypes": 1,
        "heads.1.mlp.0.weight": 1,
    }
    assert {name: named[name] for name in expected} == pytest.approx(expected)
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert all((id(p) in decayed) is (p.ndim > 1) for _, p in method.named_parameters() if p.requires_grad)


def test_gradients_are_clipped_network_by_network_and_prototypes_stay_in_the_first_epoch():
    for epoch, frozen in ((0, True), (1, False)):
        method, progress = changed(build(clip=1e-3)), Progress(epoch * 5, 10, epoch, 2)
        method(crops(method), masks=masks_of(method), progress=progress)[0].backward()
        before = [p.grad.clone() for p in method.backbone.parameters()]
        method.after_backward(progress)
        networks = [
            [*method.backbone.parameters(), *method.mask_tokens.parameters()],
            *(h.parameters() for h in method.heads),
        ]
        norms = [torch.cat([p.grad.flatten() for p in ps if p.grad is not None]).norm().item() for ps in networks]
        assert norms[0] == pytest.approx(1e-3, rel=1e-3)
        assert max(norms[1:]) <= 1e-3
        ratios = [
            (p.grad.norm() / was.norm()).item() for p, was in zip(method.backbone.parameters(), before, strict=True)
        ]
        assert ratios == pytest.approx([ratios[0]] * len(ratios))
        assert [head.prototypes.grad is None and head.gains.grad is None for head in method.heads] == [frozen, frozen]


def test_a_single_image_has_no_neighbour():
    with pytest.raises(
        UserError, match=r"batch of 1: KoLeo needs at least 2 images at once \(batch_size, accumulate\)"
    ):
        build().check_batch(1)
    build(koleo=0).check_batch(1)
    build().check_batch(2)


def test_features_are_those_of_any_pooling():
    torch.manual_seed(0)
    method = build(TinyTokenBackbone(16))
    views, masks = crops(method), masks_of(method)
    features, students = method.student(views, method.masked(masks))
    tokens = method.backbone.encode(method.mask_tokens(method.backbone, torch.cat(views[:2]), torch.cat(masks)))
    assert torch.allclose(features, tokens[:, 1:].mean(1))
    assert students.patches.shape == (method.most_masked, 12)
    assert method(views, masks=masks, progress=START)[0].isfinite()


def test_the_teacher_is_evaluated_and_under_autocast_losses_are_float32():
    method = build().float()
    assert method.encoder is method.teacher_backbone
    with torch.autocast("cpu", torch.bfloat16):
        loss, scalars = method([view.float() for view in crops(method)], masks=masks_of(method), progress=START)
    loss.backward()
    assert {value.dtype for value in [loss, *scalars.values()]} == {torch.float32}
    assert method.mask_tokens.token.grad.any()
