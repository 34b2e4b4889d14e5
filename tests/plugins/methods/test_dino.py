from __future__ import annotations

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sslbench import UserError
from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyBackbone, TinyTokenBackbone
from sslbench.testing.pretended_gpu import PretendedGpu
from sslbench_plugins.blocks.objectives.self_distillation import self_distillation, targets_of
from sslbench_plugins.methods.dino import DINO, DINOParams, clip_each

SMALL = {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8, "local_crops": 3}


def build(backbone=None, size=16, **overrides):
    torch.manual_seed(0)
    return DINO(DINOParams(**{**SMALL, **overrides}), backbone or TinyBackbone(), size)


def crops(method, batch=4):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(batch, 3, view.size, view.size, generator=generator) for view in method.views]


def plain_loss(students, targets, temperature):
    """Caron et al. 2021, algorithm 1: every pair of different views."""
    terms = [
        -(target * (student / temperature).log_softmax(-1)).sum(-1).mean()
        for t, target in enumerate(targets)
        for v, student in enumerate(students)
        if v != t
    ]
    return sum(terms) / len(terms)


@pytest.mark.parametrize(("views", "teachers"), [(2, 2), (5, 2), (3, 1)])
@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_the_loss_and_its_gradient_equal_the_plain_formula(views, teachers, temperature):
    generator = torch.Generator().manual_seed(0)
    students = torch.randn(views, 4, 7, generator=generator, requires_grad=True)
    targets = torch.randn(teachers, 4, 7, generator=generator).softmax(-1)
    expected = plain_loss(students, targets, temperature)
    (expected_gradient,) = torch.autograd.grad(expected, students)
    loss = self_distillation(students, targets, temperature)
    (gradient,) = torch.autograd.grad(loss, students)
    assert torch.allclose(loss, expected, rtol=1e-5)
    assert torch.allclose(gradient, expected_gradient, atol=1e-6)


def test_the_method_centres_sharpens_and_moves_its_centre():
    method = build(student_temperature=0.2, teacher_temperature=0.05, teacher_temperature_start=0.05)
    with torch.no_grad():
        method.centre.copy_(torch.linspace(-0.2, 0.2, 12))
        for p in method.teacher_head.parameters():
            p.add_(0.01)
    views = crops(method)
    centre = method.centre.clone()
    students = [method.head(f) for f in method.backbone(torch.cat(views[:2])).chunk(2)]
    students += [method.head(f) for f in method.backbone(torch.cat(views[2:])).chunk(3)]
    teachers = [method.teacher_head(f) for f in method.teacher_backbone(torch.cat(views[:2])).chunk(2)]
    targets = [((t - centre) / 0.05).softmax(-1) for t in teachers]
    loss, scalars = method(views, masks=(), progress=Progress(0, 10, 0, 1))
    assert torch.allclose(loss, plain_loss(students, targets, 0.2), rtol=1e-5)
    assert torch.equal(method.centre, centre)
    method.after_step(Progress(0, 10, 0, 1))
    expected = 0.9 * centre + 0.1 * torch.cat(teachers).mean(0)
    assert torch.allclose(method.centre, expected, atol=1e-6)
    assert 0 < scalars["teacher_entropy"].item() < math.log(12)
    assert scalars["uniform_loss"].item() == pytest.approx(math.log(12))


def test_without_centring_the_centre_stays_at_zero():
    method = build(centring=False)
    method(crops(method), masks=(), progress=Progress(0, 10, 0, 1))
    method.after_step(Progress(0, 10, 0, 1))
    assert not method.centre.any()


def test_the_centre_moves_once_a_step_however_many_parts_the_batch_has():
    progress, centres, losses = Progress(0, 10, 0, 1), [], []
    for parts in (1, 2, 4):
        torch.manual_seed(1)
        method = build(TinyTokenBackbone(16, 2), drop_path=0)
        views = zip(*(view.chunk(parts) for view in crops(method)), strict=True)
        losses.append(sum(method(part, masks=(), progress=progress)[0].item() for part in views) / parts)
        method.after_step(progress)
        centres.append(method.centre)
        assert not method._teacher_means
    assert centres[0].any()
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-6)
    for centre in centres[1:]:
        torch.testing.assert_close(centre, centres[0], rtol=1e-5, atol=1e-7)


def test_it_asks_for_two_large_crops_and_small_ones_of_three_sevenths():
    views = DINO(DINOParams(prototypes=12), TinyBackbone(), 224).views
    assert [(view.kind, view.size) for view in views] == [("global", 224)] * 2 + [("local", 96)] * 8


def test_a_transformer_takes_crops_of_whole_patches_of_both_sizes():
    from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage

    backbone = ViTSmallImage(ViTParams(dim=24, depth=1, heads=2, patch_size=4), 32)
    method = build(backbone, 32)
    assert {view.size for view in method.views} == {32, 12}
    loss, _ = method(crops(method), masks=(), progress=Progress(0, 10, 0, 1))
    assert torch.isfinite(loss)


@pytest.mark.parametrize("size", [2, 6])
def test_a_small_crop_that_holds_no_whole_patch_is_refused(size):
    with pytest.raises(UserError, match=f"local_size = {size} px does not hold whole patches of 4 px; allowed: a mul"):
        build(TinyTokenBackbone(16, 4), local_size=size)


def test_the_teachers_temperature_rises_in_equal_steps_per_epoch():
    method = build(teacher_temperature_start=0.04, teacher_temperature=0.07, teacher_warmup_epochs=4)
    temperatures = [method.teacher_temperature(epoch) for epoch in range(6)]
    assert temperatures == pytest.approx([0.04, 0.05, 0.06, 0.07, 0.07, 0.07])


def test_gradients_are_clipped_tensor_by_tensor():
    small, large = torch.nn.Parameter(torch.zeros(4)), torch.nn.Parameter(torch.zeros(4))
    small.grad, large.grad = torch.full((4,), 0.5), torch.full((4,), 50.0)
    clip_each([small, large], 3.0)
    assert small.grad.tolist() == [0.5] * 4
    assert large.grad.norm().item() == pytest.approx(3.0, rel=1e-5)
    clip_each([torch.nn.Parameter(torch.zeros(4))], 3.0)


@pytest.mark.pretended
def test_clipping_makes_as_many_calls_for_many_tensors_as_for_a_few():
    class Calls(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.count += func.namespace == "aten" and not func.is_view
            return func(*args, **(kwargs or {}))

    def calls(tensors):
        with PretendedGpu():
            parameters = [torch.nn.Parameter(torch.empty(4, size, device="cuda")) for size in range(1, tensors + 1)]
            for p in parameters:
                p.grad = torch.empty_like(p)
            with Calls() as calls:
                clip_each(parameters, 3.0)
        return calls.count

    assert calls(100) == calls(2) <= 10


def test_prototypes_stay_during_the_first_epoch_and_have_unit_length():
    method = build()
    for epoch, frozen in ((0, True), (1, False)):
        progress = Progress(epoch * 5, 10, epoch, 2)
        loss, _ = method(crops(method), masks=(), progress=progress)
        method.zero_grad()
        loss.backward()
        method.after_backward(progress)
        assert (method.head.prototypes.grad is None) is frozen
    logits = method.head(torch.randn(5, 16))
    assert logits.abs().max() <= 1 + 1e-6


def test_only_the_student_leaves_branches_out():
    from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage
    from sslbench_plugins.blocks.networks.transformer import StochasticDepth

    def rates(network):
        return [module.rate for module in network.modules() if isinstance(module, StochasticDepth)]

    method = build(ViTSmallImage(ViTParams(dim=24, depth=3, heads=2, patch_size=4), 16), drop_path=0.4).train()
    assert rates(method.backbone) == [0.2, 0.2, 0.4, 0.4]
    assert rates(method.teacher_backbone) == []
    image = torch.randn(4, 3, 16, 16)
    assert torch.equal(method.teacher_backbone(image), method.teacher_backbone(image))
    assert not torch.equal(method.backbone(image), method.backbone(image))
    assert rates(build(ViTSmallImage(ViTParams(dim=24, depth=3, heads=2), 16), drop_path=0).backbone) == []


def test_the_head_has_as_many_layers_as_asked():
    for layers in (1, 2, 3):
        widths = [p.shape[0] for p in build(head_layers=layers).head.mlp.parameters() if p.ndim == 2]
        assert widths == [16] * (layers - 1) + [8]


def test_the_teacher_is_evaluated():
    method = build()
    assert method.encoder is method.teacher_backbone


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_targets_are_probabilities_without_gradients(dtype):
    logits = torch.randn(2, 3, 5, dtype=dtype).float().requires_grad_()
    targets = targets_of(logits, torch.zeros(5), 0.04)
    assert torch.allclose(targets.sum(-1), torch.ones(2, 3))
    assert not targets.requires_grad
