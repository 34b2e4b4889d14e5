"""How many kernels a whole step launches on a GPU, its backward pass included; views are counted elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import SGD

from sslbench import BuildContext
from sslbench.hooks.registry import Registry
from sslbench.speed.steps import progress_at, synthetic_step
from sslbench.testing.pretended_gpu import DEVICE, PretendedGenerator, PretendedGpu
from sslbench.train import optimizers
from sslbench.train.task import LoopSettings, StepTask

REGISTRY = Registry()
pytestmark = pytest.mark.pretended


def built(kind, name, **context):
    spec = REGISTRY.get(kind, name)
    params = spec.params()
    return params, spec.build(params, BuildContext(**context))


@pytest.fixture
def launched(monkeypatch):
    """The launches of the second step, by name."""
    monkeypatch.setattr(nn.Module, "to", lambda module, *args, **kwargs: module)
    monkeypatch.setattr(torch, "Generator", PretendedGenerator)
    monkeypatch.setattr(optimizers, "SGD", lambda *args, fused, **kwargs: SGD(*args, **kwargs))

    def of(name, backbone, size):
        _, backbone = built("backbone", backbone, image_size=size)
        ratio = 0.75 if "masking" in REGISTRY.get("method", name).uses else None
        params, method = built("method", name, image_size=size, backbone=backbone, mask_ratio=ratio)
        masking = built("masking", "random")[1] if ratio else None
        with PretendedGpu() as gpu:
            gpu.take(method)
            task = StepTask(method=method, params=params, masking=masking, mask_ratio=ratio)
            step = synthetic_step(task, LoopSettings(100, 8, 0, DEVICE, precision="bf16"))
            step.update(step.views, None, progress_at(0))
            gpu.launches.clear()
            step.update(step.views, None, progress_at(1))
            return gpu.launches.copy()

    return of


@pytest.mark.parametrize(
    ("name", "backbone", "most"),
    [
        ("simclr", "resnet18-cifar", 300),
        ("byol", "resnet18-cifar", 820),
        ("dino", "vit-tiny-small-image", 2800),
        ("mae", "vit-tiny-small-image", 1680),
    ],
)
def test_a_step_launches_no_more_kernels_than_it_did(launched, name, backbone, most):
    launches = launched(name, backbone, 32)
    assert launches.total() <= most, launches.most_common()


def test_optimizer_clipping_and_moving_averages_launch_few_kernels_however_many_parameters_there_are(launched):
    """A kernel for each of DINO's 300 parameters would show here."""
    launches = launched("dino", "vit-tiny-small-image", 32)
    assert launches["_foreach_lerp_"] == 2, "teacher and its head"
    assert launches["_fused_adamw_"] == 2, "decayed and not"
    assert launches["_foreach_norm"] == launches["_foreach_mul_"] == 1
