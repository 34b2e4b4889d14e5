from __future__ import annotations

import math

import pytest
import torch

from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyBackbone
from sslbench_plugins.blocks.objectives.contrast import nt_xent
from sslbench_plugins.methods.simclr import SimCLR, SimCLRParams


def plain_nt_xent(first, second, temperature):
    """Chen et al. 2020, equation 1, one anchor at a time."""
    z = [v / v.norm() for v in [*first, *second]]
    n = len(first)
    losses = []
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = [math.exp((z[i] @ z[k]).item() / temperature) for k in range(2 * n) if k != i]
        losses.append(-math.log(math.exp((z[i] @ z[j]).item() / temperature) / sum(others)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_nt_xent_equals_the_plain_formula(temperature):
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 6, 5, generator=generator)
    assert nt_xent(first, second, temperature).item() == pytest.approx(
        plain_nt_xent(first, second, temperature), rel=1e-5
    )


def test_nt_xent_of_equal_embeddings_is_the_logarithm_of_the_others():
    same = torch.ones(8, 4)
    assert nt_xent(same, same, 0.1).item() == pytest.approx(math.log(15), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_nt_xent_overflows_at_no_temperature(dtype):
    first = torch.randn(8, 4, dtype=torch.float32).to(dtype).requires_grad_()
    loss = nt_xent(first, first.detach().flip(0), 1e-3)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(first.grad).all()


def test_nt_xent_does_not_depend_on_the_length_of_embeddings_or_the_order_of_views():
    first, second = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1))
    loss = nt_xent(first, second, 0.2)
    assert torch.allclose(loss, nt_xent(3 * first, 0.5 * second, 0.2))
    assert torch.allclose(loss, nt_xent(second, first, 0.2))


def test_the_head_is_the_papers_and_is_not_evaluated():
    method = SimCLR(SimCLRParams(), TinyBackbone(16), 8)
    shapes = [tuple(p.shape) for p in method.projector.parameters()]
    assert shapes == [(16, 16), (16,), (16,), (128, 16), (128,), (128,)]
    assert method.encoder is method.backbone
    assert [view.size for view in method.views] == [8, 8]


def test_both_views_go_through_the_network_in_one_batch():
    torch.manual_seed(0)
    method = SimCLR(SimCLRParams(), TinyBackbone(4), 8)
    batches = []
    method.backbone.register_forward_hook(lambda module, args, out: batches.append(len(args[0])))
    method([torch.randn(5, 3, 8, 8), torch.randn(5, 3, 8, 8)], masks=(), progress=Progress(0, 1, 0, 1))
    assert batches == [10]
