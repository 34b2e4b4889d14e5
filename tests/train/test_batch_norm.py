"""The batch norm that ranks share is, for a rank that is alone with its images, torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from sslbench.train import batch_norm
from sslbench.train.batch_norm import shared_batch_statistics

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture
def one_of_one(monkeypatch):
    """A rank that exchanges with nobody, and does as it would with others."""
    monkeypatch.setattr(batch_norm, "every_rank", lambda local: [local])

    class Several(int):
        def __eq__(self, other):
            return False

        __hash__ = int.__hash__

    monkeypatch.setattr(batch_norm, "ranks", lambda: Several(1))


SHAPES = {"features": (24, 5), "images": (6, 5, 4, 3), "one position": (9, 5, 1, 1), "sequence": (6, 5, 7)}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_values_gradients_and_running_statistics_are_those_of_torch(one_of_one, shape, affine, device):
    kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    generator = torch.Generator().manual_seed(0)
    values = (torch.randn(shape, generator=generator) * 3 + 2).to(device)
    weights = torch.randn(shape, generator=generator).to(device)
    results = []
    for shared in (False, True):
        torch.manual_seed(0)
        norm = kind(5, affine=affine).to(device)
        if affine:
            nn.init.normal_(norm.weight)
        x = values.clone().requires_grad_()
        with shared_batch_statistics() if shared else torch.enable_grad():
            out = norm(x)
        (out * weights).sum().backward()
        gradients = [x.grad, *(p.grad for p in norm.parameters())]
        results.append([out.detach(), *gradients, norm.running_mean, norm.running_var])
    for of_torch, of_ranks in zip(*results, strict=True):
        assert torch.allclose(of_torch, of_ranks, rtol=1e-4, atol=1e-5)


def test_half_precision_keeps_its_type_and_its_statistics_are_float32(one_of_one):
    norm = nn.BatchNorm2d(4)
    x = torch.randn(8, 4, 5, 5, generator=torch.Generator().manual_seed(0)).bfloat16().requires_grad_()
    with shared_batch_statistics():
        out = norm(x)
        out.float().square().sum().backward()
    assert (out.dtype, x.grad.dtype, norm.weight.grad.dtype) == (torch.bfloat16, torch.bfloat16, torch.float32)
    assert torch.allclose(norm.running_mean, 0.1 * x.detach().float().mean(dim=(0, 2, 3)), atol=1e-6)


def test_channels_last_stays(one_of_one):
    x = torch.randn(4, 3, 6, 6).to(memory_format=torch.channels_last).requires_grad_()
    with shared_batch_statistics():
        out = nn.BatchNorm2d(3)(x)
        out.square().sum().backward()
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert x.grad.is_contiguous(memory_format=torch.channels_last)


def test_eval_mode_is_torchs_own_and_the_function_is_put_back(one_of_one):
    norm, x = nn.BatchNorm1d(3), torch.randn(4, 3)
    before = functional.batch_norm
    expected = norm.eval()(x)
    with shared_batch_statistics():
        assert functional.batch_norm is not before
        assert torch.equal(norm(x), expected)
    assert functional.batch_norm is before
    with pytest.raises(ValueError, match="expected"), shared_batch_statistics():
        norm(torch.randn(4))
    assert functional.batch_norm is before


def test_one_process_has_torchs_function():
    before = functional.batch_norm
    with shared_batch_statistics():
        assert functional.batch_norm is before
