"""What counts as a launch, a copy and a wait; and that a pretended GPU is given what a device that is there is."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from sslbench.testing.device_work import DeviceWork
from sslbench.testing.pretended_gpu import DEVICE, WAITS, PretendedGpu


@pytest.mark.parametrize(
    ("do", "launched"),
    [
        (lambda x: x.view(4).expand(3, 4).t()[1:].detach().unsqueeze(0), {}),
        (lambda x: x.reshape(4), {}),
        (lambda x: x.t().reshape(4), {"clone": 1}),
        (lambda x: x.unsqueeze_(0), {}),
        (lambda x: x.contiguous().to(torch.float32), {}),
        (lambda x: torch.empty_like(x), {}),
        (lambda x: torch.zeros_like(x), {"zeros_like": 1}),
        (lambda x: x[:0] + 1, {}),
        (lambda x: (x + 1).mul_(2).half(), {"add": 1, "mul_": 1, "_to_copy": 1}),
        (lambda x: torch._foreach_add([x, x, x], 1.0), {"_foreach_add": 1}),
        (lambda x: torch._foreach_mul_([x, x], 2.0), {"_foreach_mul_": 1}),
        (lambda x: functional.linear(x, x), {"mm": 1}),
    ],
    ids="views reshape reshape-copies in-place-view nothing-to-do empty zeros none three foreach in-place mm".split(),
)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.pretended)])
def test_a_launch_is_an_operation_that_computes_or_moves_numbers(do, launched, device):
    with PretendedGpu() if device == "cuda" else DeviceWork("cpu") as counting:
        x = torch.ones(2, 2, device=device)
        counting.launches.clear()
        do(x)
    assert dict(counting.launches) == launched


@pytest.mark.pretended
def test_only_what_is_on_the_device_counts():
    with PretendedGpu() as gpu:
        there, here = torch.ones(2, device="cuda"), torch.ones(2)
        gpu.work.clear()
        here + 1
        there + here.sum()  # a single number of the host goes along with the launch
        assert (dict(gpu.launches), gpu.crossings) == ({"add": 1}, [])


def test_reading_a_number_is_a_wait():
    x = torch.ones(4)
    with DeviceWork("cpu") as work:
        x.sum().item()
        x[x > 0]
        x.nonzero()
        x[torch.tensor([1, 2])]
    kinds = [line.split(", ")[0] for line in work.waits]
    assert kinds == ["_local_scalar_dense", "index", "nonzero"]
    assert all(", test_device_work.py:" in line for line in work.waits)


@pytest.mark.pretended
def test_so_it_is_where_it_raises():
    x = torch.ones(4)
    with PretendedGpu() as gpu, pytest.raises(WAITS):
        x.to(DEVICE).sum().item()
    assert [line.split(", ")[0] for line in gpu.work.waits] == ["cpu to cuda", "_local_scalar_dense"]


@pytest.mark.pretended
def test_copies_from_and_to_pinned_memory_wait_only_if_asked_to():
    with PretendedGpu() as gpu:
        there, pageable = torch.zeros(3, device="cuda"), torch.zeros(3)
        pinned, made = torch.zeros(3, pin_memory=True)[:], torch.zeros(3).pin_memory()
        assert pinned.is_pinned()
        assert made.is_pinned()
        assert not pageable.is_pinned()
        for copy, waits in (
            (lambda: pageable.to(DEVICE, non_blocking=True), True),
            (lambda: pinned.to(DEVICE), True),
            (lambda: pinned.to(DEVICE, non_blocking=True), False),
            (lambda: there.copy_(made, non_blocking=True), False),
            (lambda: made.copy_(there, True), False),
            (lambda: made.copy_(there), True),
            (lambda: pageable.copy_(there, non_blocking=True), True),
            (lambda: there.cpu(), True),
            (lambda: there.to("cpu", non_blocking=True), False),
            (lambda: torch.tensor(1.0, device=DEVICE), True),
        ):
            gpu.work.clear()
            copy()
            assert len(gpu.crossings) == 1
            assert gpu.work.waits == (gpu.crossings if waits else [])
            assert gpu.launches.total() == 0


class Doubled(torch.autograd.Function):
    """Two results, of which one gets no gradient."""

    @staticmethod
    def forward(ctx, x):
        return x * 2, x * 3

    @staticmethod
    def backward(ctx, first, second):
        return first * 2 + second * 3


def step_of(model, device):
    x = torch.zeros(4, 3, 8, 8, device=device)
    doubled, _ = Doubled.apply(model(x))
    first, second = functional.normalize(doubled, dim=1).chunk(2)
    loss = functional.cross_entropy(first @ second.t(), torch.zeros(2, dtype=torch.long, device=device))
    (loss + second.square().mean()).backward()


@pytest.mark.pretended
def test_a_backward_pass_is_that_of_a_device_that_is_there():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 8))
    with DeviceWork("cpu") as work:
        step_of(model, "cpu")
        step_of(model, "cpu")
    shapes = {name: parameter.grad.shape for name, parameter in model.named_parameters()}
    model.zero_grad()
    with PretendedGpu() as gpu:
        gpu.take(model)
        step_of(model, "cuda")
        step_of(model, "cuda")
    assert {name: parameter.grad.shape for name, parameter in model.named_parameters()} == shapes
    assert {parameter.grad.device for parameter in model.parameters()} == {DEVICE}
    assert gpu.launches == work.launches


@pytest.mark.pretended
def test_autocast_works_there():
    with PretendedGpu(), torch.autocast("cuda", torch.bfloat16):
        assert (torch.zeros(2, 2, device="cuda") @ torch.zeros(2, 2, device="cuda")).dtype == torch.bfloat16


@pytest.mark.pretended
def test_what_requires_no_gradient_has_no_backward_pass():
    with PretendedGpu(), pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        torch.zeros(1, device="cuda").backward()
