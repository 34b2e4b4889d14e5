"""Losses compiled as they are by ``torch.compile``, without a warning: the numbers stay."""

from __future__ import annotations

import pytest
import torch

from sslbench_plugins.blocks.objectives.contrast import nt_xent
from sslbench_plugins.blocks.objectives.koleo import koleo
from sslbench_plugins.blocks.objectives.masked_distillation import masked_distillation
from sslbench_plugins.blocks.objectives.self_distillation import self_distillation


def nt_xent_of_pair(pair):
    return nt_xent(*pair, 0.1)


def self_distillation_of_views(students):
    return self_distillation(students, students.detach()[:2].softmax(-1), 0.1)


def masked_distillation_of_patches(students):
    patches = students.flatten(0, 1)[:4]
    return masked_distillation(patches, patches.detach().softmax(-1), torch.tensor([0.2, 0.2, 0.4, 0]), 0.1)


def koleo_of_one_view(views):
    return koleo(views[0])


LOSSES = [nt_xent_of_pair, self_distillation_of_views, masked_distillation_of_patches, koleo_of_one_view]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_compiled_loss_and_its_gradient_are_those_of_the_plain_one(loss):
    first = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    # The part of torch.compile that reads Python and autograd, without the minute of a C++ compiler.
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    results = []
    for function in (loss, compiled):
        value = function(first)
        results.append((value, *torch.autograd.grad(value, first)))
    for plain, other in zip(*results, strict=True):
        assert torch.allclose(plain, other, rtol=1e-6)
