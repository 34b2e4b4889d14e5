"""The losses against lightly's, where it is installed (the extra `peers`)."""

from __future__ import annotations

import warnings

import pytest
import torch

from sslbench_plugins.blocks.objectives.contrast import nt_xent
from sslbench_plugins.blocks.objectives.self_distillation import self_distillation, targets_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    losses = pytest.importorskip("lightly.loss")


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_nt_xent_and_its_gradient_are_lightlys(temperature):
    a, b = torch.randn(2, 32, 16, generator=torch.Generator().manual_seed(0))
    a.requires_grad_()
    ours, theirs = nt_xent(a, b, temperature), losses.NTXentLoss(temperature)(a, b)
    assert torch.allclose(ours, theirs, rtol=1e-5)
    assert torch.allclose(*(torch.autograd.grad(loss, a)[0] for loss in (ours, theirs)), atol=1e-6)


def test_self_distillation_and_its_gradient_are_lightlys():
    generator = torch.Generator().manual_seed(0)
    students = torch.randn(5, 4, 9, generator=generator, requires_grad=True)
    teachers = torch.randn(2, 4, 9, generator=generator)
    ours = self_distillation(students, targets_of(teachers, 0.0, 0.04), 0.1)
    loss = losses.DINOLoss(output_dim=9, teacher_temp=0.04, student_temp=0.1, warmup_teacher_temp_epochs=0)
    theirs = loss(list(teachers), list(students), epoch=0)
    assert torch.allclose(ours, theirs, rtol=1e-5)
    assert torch.allclose(*(torch.autograd.grad(value, students)[0] for value in (ours, theirs)), atol=1e-6)
