"""Networks of speed rows are made on the device that they are measured on."""

from __future__ import annotations

import pytest
import torch

from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.speed import steps
from sslbench.speed.plan import plan_speed
from sslbench.speed.steps import build_there
from sslbench.speed.suite import read_speed_suite
from sslbench.testing.pretended_gpu import DEVICE, PretendedGpu

META = torch.device("meta")
TRAINED = ["barlow-twins", "byol", "dino", "dinov2", "ibot", "ijepa", "lejepa", "mae", "moco", "moco-v3", "simclr"]
TRAINED += ["simmim", "simsiam", "supervised", "swav", "vicreg"]


def rows(*methods):
    raw, layout = read_speed_suite("methods", {"image_size": 32, "device": "cpu", "precisions": ["fp32"]})
    axes = {"method": methods, "dataset": [], "masking": ["random"]}
    axes["backbone"] = ["convnet-small:width=4", "vit-tiny-small-image:dim=24,depth=2,heads=2"]
    return [row for row in plan_speed(raw, layout, axes, Registry()).rows if row.skip is None]


def tensors(method):
    """All that it holds: parameters, buffers, and what modules keep beside them."""
    modules = [module for part in (method, *method.learns_from) for module in part.modules()]
    kept = [value for module in modules for value in vars(module).values() if isinstance(value, torch.Tensor)]
    return [*kept, *(t for m in modules for t in (*m._parameters.values(), *m._buffers.values()) if t is not None)]


@pytest.mark.parametrize("name", TRAINED)
def test_no_tensor_of_a_method_is_left_on_the_host(name):
    (row, *_) = rows(name)
    method = build_there(row, META, download=False)
    assert tensors(method)
    assert {tensor.device.type for tensor in tensors(method)} == {"meta"}


def test_a_step_is_that_of_a_method_that_was_made_there(monkeypatch):
    monkeypatch.setattr(steps, "synthetic_step", lambda task, settings: task.method)
    (row, *_) = rows("simclr")
    assert {tensor.device.type for tensor in tensors(steps.build_step(row, META))} == {"meta"}


@pytest.mark.pretended
def test_nothing_is_copied_to_a_gpu_where_it_can_be_made_there():
    supervised = rows("supervised")
    with PretendedGpu() as gpu:
        for row in supervised:
            assert {tensor.device for tensor in tensors(build_there(row, DEVICE, download=False))} == {DEVICE}
    assert [
        crossing for crossing in gpu.crossings if "cuda, []," not in crossing
    ] == []  # a counter of batches is made so


def test_what_cannot_be_made_there_is_made_on_the_host(monkeypatch):
    build, tried = steps.build_method, []

    def build_method(method, backbone, context):
        tried.append(torch.empty(0).device.type)
        if tried[-1] == "meta":
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        return build(method, backbone, context)

    monkeypatch.setattr(steps, "build_method", build_method)
    (row, *_) = rows("simclr")
    method = build_there(row, META, download=False)
    assert tried == ["meta", "cpu"]
    assert {tensor.device.type for tensor in tensors(method)} == {"cpu"}


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: device-side assert triggered"),
        UserError("image size 8 is not divisible by patch_size = 16"),
    ],
)
def test_what_would_fail_on_the_host_too_is_not_tried_again(monkeypatch, error):
    tried = []

    def build_method(method, backbone, context):
        tried.append(1)
        raise error

    monkeypatch.setattr(steps, "build_method", build_method)
    (row, *_) = rows("simclr")
    with pytest.raises(type(error)):
        build_there(row, META, download=False)
    assert tried == [1]


def test_weights_on_a_cpu_are_those_of_the_seed():
    (row, *_) = rows("simclr")
    one, other = (build_there(row, torch.device("cpu"), download=False) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
