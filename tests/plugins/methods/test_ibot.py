from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from sslbench import MaskRequest, UserError
from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyTokenBackbone
from sslbench.train.masks import draw_masks, most_masked
from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage
from sslbench_plugins.methods.dino import DINO, DINOParams
from sslbench_plugins.methods.ibot import IBOT, IBOTParams

SMALL = {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8, "local_crops": 2, "drop_path": 0}
START = Progress(0, 10, 0, 1)


def network(pool="class"):
    torch.manual_seed(0)
    return ViTSmallImage(ViTParams(dim=24, depth=2, heads=2, patch_size=4, pool=pool), 16)


def build(backbone=None, **overrides):
    torch.manual_seed(1)
    return IBOT(IBOTParams(**{**SMALL, **overrides}), backbone or network(), 16, 0.3).double()


def crops(method, batch=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    sizes = [view.size for view in method.views]
    return [torch.randn(batch, 3, size, size, generator=generator, dtype=torch.float64) for size in sizes]


def masks_of(method, batch=4, seed=0):
    method.most_masked = most_masked(method, 0.3, batch, batch)
    return draw_masks(method, None, 0.3, batch, torch.Generator().manual_seed(seed))


def changed(method):
    """With centres and a teacher of its own, and a mask token."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        method.mask_tokens.token.normal_(generator=generator)
        for centre in (method.centre, method.patch_centre):
            centre.copy_(0.1 * torch.randn(centre.shape, generator=generator))
        for p in [*method.teacher_backbone.parameters(), *method.teacher_heads.parameters()]:
            p.add_(0.02 * torch.randn(p.shape, generator=generator).to(p.dtype))
    return method


def output(head, features):
    """Zhou et al. 2022, section 4.1: an MLP, a vector of unit length, unit prototypes."""
    vector = head.mlp(features)
    vector = vector / vector.norm()
    cosines = torch.stack([vector @ (row / row.norm()) for row in head.prototypes])
    return cosines if head.gains is None else cosines * head.gains[:, 0]


def cross_entropy(target, student, temperature):
    return -(target * (student / temperature).log_softmax(0)).sum()


def encoded(backbone, image, mask=None, token=None):
    """Tokens of one image, ``[1 + N, D]``; masked patches are the mask token at their position."""
    tokens = backbone.embed(image[None])[0]
    if mask is not None:
        positions = backbone.positions(backbone.grid)
        tokens = torch.stack([token[0, 0] + positions[n] if mask[n] else tokens[n] for n in range(len(tokens))])
    return backbone.encode(tokens[None])[0]


def plain_losses(method, views, masks, temperatures, student_temperature=0.1):
    """The authors' loss, image by image and patch by patch: of images and of patches; and the mean outputs of the
    teacher for images and for all patches."""
    (head, patch_head), (head_t, patch_head_t) = ((h[0], h[-1]) for h in (method.heads, method.teacher_heads))
    pool, token = method.backbone.pool, method.mask_tokens.token
    class_terms, patch_terms, class_out, patch_out = [], [], [], []
    for row in range(len(views[0])):
        students, teachers = [], []
        for v, view in enumerate(views):
            mask = masks[v][row] if v < 2 and masks else None
            tokens = encoded(method.backbone, view[row], mask, token)
            students.append(output(head, pool(tokens[None])[0]))
            if v >= 2:
                continue
            seen = encoded(method.teacher_backbone, view[row])
            teachers.append(output(head_t, pool(seen[None])[0]))
            class_out.append(teachers[-1])
            outputs = [output(patch_head_t, patch) for patch in seen[1:]]
            patch_out += outputs
            hidden = [n for n in range(len(outputs)) if masks and mask[n]]
            targets = [((outputs[n] - method.patch_centre) / temperatures[1]).softmax(0) for n in hidden]
            terms = [
                cross_entropy(target, output(patch_head, tokens[1 + n]), student_temperature)
                for n, target in zip(hidden, targets, strict=True)
            ]
            patch_terms.append(sum(terms) / max(1, len(hidden)))
        targets = [((teacher - method.centre) / temperatures[0]).softmax(0) for teacher in teachers]
        class_terms += [
            cross_entropy(target, student, student_temperature)
            for t, target in enumerate(targets)
            for v, student in enumerate(students)
            if v != t
        ]
    means = [torch.stack(rows).mean(0) for rows in (class_out, patch_out)]
    return sum(class_terms) / len(class_terms), sum(patch_terms) / len(patch_terms), *means


@pytest.mark.parametrize(
    ("heads", "pool", "gains"), [("shared", "class", False), ("separate", "mean", False), ("separate", "class", True)]
)
def test_both_losses_and_both_centres_equal_the_plain_formulas(heads, pool, gains):
    weights = {"class_weight": 0.7, "patch_weight": 1.3}
    temperatures = {"teacher_temperature": 0.05, "patch_temperature": 0.09, "teacher_warmup_epochs": 0}
    method = changed(build(network(pool), heads=heads, prototype_gains=gains, **weights, **temperatures))
    assert len(method.heads) == (2 if heads == "separate" else 1)
    views, masks = crops(method), masks_of(method)
    assert any(not row.any() for mask in masks for row in mask)
    of_images, of_patches, mean, patch_mean = plain_losses(method, views, masks, (0.05, 0.09))
    centres = method.centre.clone(), method.patch_centre.clone()
    loss, scalars = method(views, masks=masks, progress=START)
    assert scalars["class_loss"].item() == pytest.approx(of_images.item(), rel=1e-6)
    assert scalars["patch_loss"].item() == pytest.approx(of_patches.item(), rel=1e-6)
    assert loss.item() == pytest.approx((0.7 * of_images + 1.3 * of_patches).item(), rel=1e-6)
    assert torch.equal(method.centre, centres[0])
    method.after_step(START)
    assert torch.allclose(method.centre, 0.9 * centres[0] + 0.1 * mean, atol=1e-9)
    assert torch.allclose(method.patch_centre, 0.9 * centres[1] + 0.1 * patch_mean, atol=1e-9)


def test_its_gradient_is_that_of_the_plain_formula():
    method = changed(build(teacher_temperature=0.05, patch_temperature=0.05, teacher_warmup_epochs=0))
    views, masks = crops(method, 2), masks_of(method, 2)
    of_images, of_patches, _, _ = plain_losses(method, views, masks, (0.05, 0.05))
    trained = {name: p for name, p in method.named_parameters() if p.requires_grad}
    expected = torch.autograd.grad(of_images + of_patches, trained.values())
    found = torch.autograd.grad(method(views, masks=masks, progress=START)[0], trained.values())
    for name, a, b in zip(trained, found, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-6 * max(1, b.abs().max().item())), name


def test_without_the_patch_loss_it_is_dino():
    shared = {**SMALL, "teacher_temperature": 0.07, "teacher_warmup_epochs": 2, "freeze_prototypes": 1}
    torch.manual_seed(1)
    dino = DINO(DINOParams(**shared), network(), 16)
    torch.manual_seed(1)
    ibot = IBOT(IBOTParams(**shared, patch_weight=0), network(), 16, 0.3)
    assert ibot.masks == ()
    assert ibot.views == dino.views
    methods = dino, ibot
    optimizers = [torch.optim.AdamW(method.param_groups(0.04), lr=1e-2) for method in methods]
    for step in range(4):
        progress = Progress(step, 4, step // 2, 2)
        views = [view.float() for view in crops(dino, seed=step)]
        losses = []
        for method, optimizer in zip(methods, optimizers, strict=True):
            loss, scalars = method(views, masks=[], progress=progress)
            optimizer.zero_grad()
            loss.backward()
            method.after_backward(progress)
            optimizer.step()
            method.after_step(progress)
            losses.append((loss, scalars["teacher_entropy"], scalars["embedding_spread"], scalars["uniform_loss"]))
        assert torch.equal(*(torch.stack(values).detach() for values in losses))
    ours = {
        name.replace("heads.0.", "head."): value
        for name, value in ibot.state_dict().items()
        if "mask_tokens" not in name
    }
    assert not ours.pop("patch_centre").any()
    theirs = dino.state_dict()
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_without_the_class_loss_only_masked_patches_are_learned_from():
    method = changed(build(class_weight=0, heads="separate"))
    views, masks = crops(method), masks_of(method)
    loss, scalars = method(views, masks=masks, progress=START)
    assert torch.equal(loss.detach(), scalars["patch_loss"])
    loss.backward()
    head, patch_head = method.heads
    assert not any(p.grad.any() for p in head.parameters())
    assert all(p.grad.any() for p in patch_head.parameters())


def test_a_shared_head_learns_from_both():
    assert IBOTParams().heads == "shared"
    gradients = []
    for weights in ({"class_weight": 0}, {"patch_weight": 0}, {}):
        method = changed(build(**weights))
        views = crops(method)
        method(views, masks=masks_of(method), progress=START)[0].backward()
        gradients.append(method.heads[0].prototypes.grad)
    assert gradients[0].any()
    assert gradients[1].any()
    assert len(method.heads) == 1


def test_the_student_does_not_get_masked_pixels_and_the_teacher_does():
    method = changed(build(patch_temperature=0.5))
    views, masks = crops(method), masks_of(method)
    other = [view.clone() for view in views]
    for view, mask in zip(other, masks, strict=False):
        pixels = mask.view(-1, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
        view += 3 * pixels
    masked = method.masked(masks)
    for a, b in zip(*(method.student(given, masked)[1] for given in (views, other)), strict=True):
        assert torch.allclose(a, b)
    assert not torch.allclose(method.teacher(views)[1], method.teacher(other)[1])
    plain = method.student(views, None)[1]
    assert not torch.allclose(plain.images[:2], method.student(views, masked)[1].images[:2])
    assert torch.allclose(plain.images[2:], method.student(views, masked)[1].images[2:])


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.75])
def test_half_of_both_large_crops_are_masked(ratio):
    method = IBOT(IBOTParams(**SMALL), network(), 16, ratio)
    assert method.masks == (MaskRequest(0, spread=0.2, share=0.5), MaskRequest(1, spread=0.2, share=0.5))
    assert method.mask_grid == (4, 4)
    for seed in range(5):
        masks = draw_masks(method, None, ratio, 16, torch.Generator().manual_seed(seed))
        counts = torch.stack(masks).sum(dim=2)
        assert ((counts > 0).sum(dim=1) == 8).all()


def test_both_temperatures_rise_epoch_by_epoch(monkeypatch):
    method = build(teacher_warmup_epochs=4, patch_temperature_start=0.1, patch_temperature=0.4)
    views, masks, used = crops(method, 2), masks_of(method, 2), []
    softmax = functional.softmax
    outputs = method.teacher(views)[0]

    def recorded(logits, dim):
        used.append(logits)
        return softmax(logits, dim=dim)

    monkeypatch.setattr("sslbench_plugins.blocks.objectives.self_distillation.functional.softmax", recorded)
    for epoch in range(5):
        method(views, masks=masks, progress=Progress(epoch, 5, epoch, 5))
    patch_logits, class_logits = used[::2], used[1::2]
    temperatures = [(outputs / logits).mean().item() for logits in class_logits]
    assert temperatures == pytest.approx([0.04, 0.05, 0.06, 0.07, 0.07], rel=1e-6)
    ratios = [(patch_logits[0] / logits).mean().item() for logits in patch_logits]
    assert ratios == pytest.approx([1, 2, 3, 4, 4], rel=1e-6)


def test_a_student_that_puts_everything_on_all_prototypes_alike_has_the_loss_that_is_logged():
    method = build(class_weight=0.5, patch_weight=2)
    with torch.no_grad():
        for head in (method.heads[0], method.teacher_heads[0]):
            head.prototypes.fill_(1.0)
    loss, scalars = method(crops(method), masks=masks_of(method), progress=START)
    assert loss.item() == pytest.approx(math.log(12) * (0.5 + 2 * 0.5), rel=1e-6)
    assert scalars["uniform_loss"].item() == pytest.approx(loss.item(), rel=1e-6)
    assert scalars["teacher_entropy"].item() == pytest.approx(math.log(12), rel=1e-6)
    assert scalars["patch_entropy"].item() == pytest.approx(math.log(12), rel=1e-6)
    assert scalars["embedding_spread"].item() == pytest.approx(0, abs=1e-3)


def test_a_batch_in_parts_is_the_whole_batch():
    losses, centres = [], []
    for parts in (1, 2, 4):
        torch.manual_seed(0)
        method = changed(build(TinyTokenBackbone(16)))
        views, masks = crops(method), masks_of(method)
        split = [zip(*(tensor.chunk(parts) for tensor in tensors), strict=True) for tensors in (views, masks)]
        values = [method(list(v), masks=list(m), progress=START)[0].item() for v, m in zip(*split, strict=True)]
        losses.append(sum(values) / parts)
        method.after_step(START)
        centres.append(torch.stack([method.centre, method.patch_centre]))
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-6)
    for centre in centres[1:]:
        assert torch.allclose(centre, centres[0], atol=1e-7)


def test_prototypes_stay_in_the_first_epoch_and_gradients_are_clipped_tensor_by_tensor():
    for epoch, frozen in ((0, True), (1, False)):
        method, progress = changed(build(heads="separate", clip=1e-3)), Progress(epoch * 5, 10, epoch, 2)
        method(crops(method), masks=masks_of(method), progress=progress)[0].backward()
        method.after_backward(progress)
        assert [head.prototypes.grad is None for head in method.heads] == [frozen, frozen]
        norms = [p.grad.norm().item() for p in method.parameters() if p.grad is not None]
        assert max(norms) <= 1e-3 * (1 + 1e-6)
        assert sum(norm == pytest.approx(1e-3, rel=1e-2) for norm in norms) > 10


def test_the_teacher_is_a_moving_average_is_not_trained_and_is_evaluated():
    method = build(teacher_momentum=0.9, heads="separate", drop_path=0.2)
    assert method.encoder is method.teacher_backbone
    with torch.no_grad():
        for p in [*method.backbone.parameters(), *method.heads.parameters()]:
            p.add_(1.0)
    pairs = [(method.teacher_backbone, method.backbone), (method.teacher_heads, method.heads)]
    before = [p.clone() for teacher, _ in pairs for p in teacher.parameters()]
    method.after_step(Progress(0, 10, 0, 1))
    after = [p for teacher, _ in pairs for p in teacher.parameters()]
    student = [p for _, network in pairs for p in network.parameters()]
    for was, average, current in zip(before, after, student, strict=True):
        assert torch.allclose(average, 0.9 * was + 0.1 * current)
    assert not any(p.requires_grad for p in after)
    image = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    method.train()
    assert torch.equal(method.teacher_backbone(image), method.teacher_backbone(image))
    assert not torch.equal(method.backbone(image), method.backbone(image))


def test_under_autocast_losses_are_float32():
    method = build().float()
    views = [view.float() for view in crops(method)]
    with torch.autocast("cpu", torch.bfloat16):
        loss, scalars = method(views, masks=masks_of(method), progress=START)
    loss.backward()
    assert {value.dtype for value in [loss, *scalars.values()]} == {torch.float32}
    assert method.mask_tokens.token.grad.any()


def test_small_crops_hold_whole_patches():
    with pytest.raises(UserError, match="method 'ibot': local_size = 6 px does not hold whole patches of 4 px"):
        build(local_size=6)
