"""What a pretended GPU finds out, and that views, masks and training steps of all built-ins stay on one device and do
not wait for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import SGD

from sslbench import BuildContext
from sslbench.contracts.method import Progress
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry
from sslbench.speed.steps import EPOCHS, STEPS_PER_EPOCH, synthetic_step
from sslbench.testing.pretended_gpu import (
    DEVICE,
    WAITS,
    MixedDevices,
    NotOnHost,
    OtherGenerator,
    PretendedGenerator,
    PretendedGpu,
)
from sslbench.train import optimizers
from sslbench.train.task import LoopSettings, StepTask

pytestmark = pytest.mark.pretended
REGISTRY = Registry()
GIVEN = {"distill": {"teacher": "random-init", "teacher_backbone": "convnet-small"}}


def params_of(spec, **given):
    params, mistakes = resolve(spec.label, spec.params, given)
    assert params is not None, mistakes
    return params


def built(kind, name, given=None, **context):
    spec = REGISTRY.get(kind, name)
    return spec.build(params_of(spec, **(given or {})), BuildContext(**context))


def test_tensors_of_two_devices_may_not_meet():
    with PretendedGpu(), pytest.raises(MixedDevices, match="at least two devices, cuda:0 and cpu"):
        torch.zeros(3, device="cuda") + torch.zeros(3)


KERNEL, KEYS = torch.ones(3, 1, 3, 3), torch.ones(2, 3, 8, 8)


@pytest.mark.parametrize(
    "meet",
    [
        lambda images: images * torch.ones(8),
        lambda images: functional.conv2d(images, KERNEL, groups=3),
        lambda images: functional.conv2d(images, torch.ones(3, 1, 3, 3), groups=3),
        lambda images: functional.scaled_dot_product_attention(images, KEYS, images),
        lambda images: functional.batch_norm(images, torch.zeros(3), torch.ones(3)),
        lambda images: torch.where(torch.ones(8, dtype=torch.bool), images, images),
    ],
    ids=["product", "convolution", "convolution-made-there", "attention", "norm", "where"],
)
def test_whichever_operation_they_meet_in(meet):
    with pytest.raises(MixedDevices, match=r"at least two devices, (cuda:0 and cpu|cpu and cuda:0)!"), PretendedGpu():
        meet(torch.zeros(2, 3, 8, 8, device=DEVICE))


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: bool((x > 0).all()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
    ],
    ids=["item", "tolist", "bool", "nonzero", "mask as an index"],
)
def test_asking_for_a_number_is_waiting(read):
    with PretendedGpu(), pytest.raises(WAITS):
        read(torch.zeros(3, device="cuda"))


def test_so_is_writing_where_a_mask_says_which_raises_nothing_here():
    with PretendedGpu() as gpu:
        there = torch.zeros(3, device="cuda")
        there[there > 0] = there
    assert [line.partition(",")[0] for line in gpu.work.waits] == ["index_put_"]


@pytest.mark.parametrize("convert", [lambda x: x.numpy(), np.asarray], ids=["numpy", "asarray"])
def test_numpy_is_given_no_tensor_of_the_gpu(convert):
    with PretendedGpu():
        there = torch.ones(4, 3, device="cuda")
        with pytest.raises(NotOnHost, match="can't convert cuda:0 device type tensor to numpy"):
            convert(there)
        here = convert(there.cpu())
        assert (here.shape, here.dtype) == ((4, 3), np.float32)
        assert (torch.from_numpy(here).to(DEVICE) + there).device == DEVICE
    assert convert(torch.ones(2)).tolist() == [1, 1]


@pytest.mark.parametrize(
    "draw",
    [
        lambda g, device: torch.rand(4, generator=g, device=device),
        lambda g, device: torch.randperm(4, generator=g, device=device),
        lambda g, device: torch.empty(4, device=device).normal_(generator=g),
        lambda g, device: torch.bernoulli(torch.zeros(4, device=device), generator=g),
    ],
    ids=["rand", "randperm", "normal_", "bernoulli"],
)
def test_a_generator_draws_on_its_own_device(draw):
    with PretendedGpu():
        assert draw(PretendedGenerator(), DEVICE).device == DEVICE
        assert draw(torch.Generator(), "cpu").device.type == "cpu"
        with pytest.raises(OtherGenerator, match="Expected a 'cpu' device type for generator but found 'cuda'"):
            draw(PretendedGenerator(), "cpu")
        with pytest.raises(OtherGenerator, match="Expected a 'cuda' device type for generator but found 'cpu'"):
            draw(torch.Generator(), DEVICE)


def test_copies_are_noted_with_their_line():
    with PretendedGpu() as gpu:
        there = torch.zeros(4, 3, device="cuda") * 2 + 1
        assert gpu.crossings == []
        torch.tensor([1.0, 2.0], device="cuda")
        there.cpu()
        there.copy_(torch.zeros(4, 3))
    kinds = [line.rsplit(", ", 1)[0] for line in gpu.crossings]
    assert kinds == ["cpu to cuda, [2]", "cuda to cpu, [4, 3]", "cpu to cuda, [4, 3]"]
    assert all(", test_pretended_gpu.py:" in line for line in gpu.crossings)


def test_what_is_neither_parameter_nor_buffer_stays_behind():
    class Forgetful(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.tied = self.layer.weight
            self.shift = torch.ones(2)

        def forward(self, x):
            return self.layer(x) + self.shift

    module = Forgetful()
    with PretendedGpu() as gpu:
        gpu.take(module)
        assert module.tied is module.layer.weight
        assert module.layer(torch.zeros(1, 2, device="cuda")).device == DEVICE
        with pytest.raises(MixedDevices):
            module(torch.zeros(1, 2, device="cuda"))


@pytest.mark.parametrize(("image", "side"), [((32, 32), 32), ((40, 33), 24), ((120, 100), 96)])
@pytest.mark.parametrize("name", REGISTRY.catalogue.names("augmentation"))
def test_views_wait_for_nothing(name, image, side):
    augmentation = built("augmentation", name)
    views = [augmentation.view(index, kind, side) for index, kind in ((0, "global"), (1, "global"), (2, "local"))]
    with PretendedGpu() as gpu:
        images = torch.zeros(6, 3, *image, dtype=torch.uint8, device="cuda")
        for view in views:
            out = view(images, PretendedGenerator())
            assert (out.device, out.dtype, out.shape) == (DEVICE, torch.float32, (6, 3, side, side))
    assert gpu.crossings == gpu.work.waits == []


@pytest.mark.parametrize("name", REGISTRY.catalogue.names("masking"))
def test_masks_wait_for_nothing(name):
    masking = built("masking", name)
    with PretendedGpu() as gpu:
        for grid, ratio in (((8, 8), 0.75), ((14, 14), 0.5)):
            masking.sample(6, grid, ratio, PretendedGenerator())
            # What a grid and a ratio need for the first time may be put there once.
            gpu.work.clear()
            out = masking.sample(6, grid, ratio, PretendedGenerator())
            assert (out.device, out.dtype, out.shape) == (DEVICE, torch.bool, (6, grid[0] * grid[1]))
            assert gpu.crossings == gpu.work.waits == []


@pytest.fixture
def train(monkeypatch):
    """Two training steps of a method, from views to moving averages, on a pretended GPU.

    There a module cannot be moved (it is taken) and no generator be made. Torch's fused SGD does not work without
    numbers, its fused AdamW does.
    """

    def run(name, backbone, given=None, size=32, **settings):
        spec = REGISTRY.get("method", name)
        masking, ratio = (built("masking", "random"), 0.75) if "masking" in spec.uses else (None, None)
        network = built("backbone", backbone, image_size=size)
        method = built("method", name, given, image_size=size, backbone=network, mask_ratio=ratio, classes=10)

        monkeypatch.setattr(nn.Module, "to", lambda module, *args, **kwargs: module)
        monkeypatch.setattr(torch, "Generator", PretendedGenerator)
        monkeypatch.setattr(optimizers, "SGD", lambda *args, fused, **kwargs: SGD(*args, **kwargs))
        with PretendedGpu() as gpu:
            gpu.take(method)
            task = StepTask(
                method=method,
                params=params_of(spec, **(given or {})),
                masking=masking,
                mask_ratio=ratio,
                labels=spec.uses_labels,
            )
            synthetic = synthetic_step(task, LoopSettings(EPOCHS, 8, 0, DEVICE, **settings))
            progress = Progress(0, EPOCHS * STEPS_PER_EPOCH, 0, EPOCHS)
            for number in range(2):
                gpu.work.clear()
                loss = synthetic.update(synthetic.views, synthetic.labels, replace(progress, step=number))
            assert gpu.crossings == gpu.work.waits == []
            assert loss.device == DEVICE
            assert {tensor.device for tensor in method.state_dict().values()} == {DEVICE}

    return run


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("simclr", "resnet18-cifar"),
        *(
            (name, backbone)
            for name in REGISTRY.catalogue.names("method")
            for backbone in ("convnet-small", "vit-tiny-small-image")
            if REGISTRY.get("method", name).trains
            and ("vit" in backbone or "tokens" not in REGISTRY.get("method", name).needs)
        ),
    ],
)
def test_training_steps_wait_for_nothing(train, name, backbone):
    train(name, backbone, GIVEN.get(name))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lars"])
def test_optimizers_wait_for_nothing(train, optimizer):
    train("simclr", "convnet-small", {"optimizer": optimizer})


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("optimizer", ["adamw", "lars"])
def test_no_precision_waits_for_anything(train, optimizer, precision):
    """Not even the scaler of fp16, which leaves it to the optimizer whether to step."""
    train("simclr", "convnet-small", {"optimizer": optimizer}, precision=precision)


def test_neither_does_a_batch_in_parts(train):
    train("byol", "convnet-small", accumulate=2)
