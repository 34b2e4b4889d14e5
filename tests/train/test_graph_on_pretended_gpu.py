"""What a captured step takes from the host, on a pretended GPU: nothing. A graph could not be captured where the host
waits, and would keep for ever what it was given once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sslbench.contracts.method import Progress
from sslbench.testing.pretended_gpu import DEVICE, WAITS, PretendedGenerator, PretendedGpu
from sslbench.train import feed, graph, trainer
from tests.train.test_graph import CASES
from tests.train.test_trainer import REGISTRY, built, trainer as build

pytestmark = pytest.mark.pretended


class Watch(TorchDispatchMode):
    """Notes which operations on the GPU take a number from a tensor of the host. Torch's fused optimizers, which cannot
    read a rate that has no number, do nothing."""

    def __init__(self):
        super().__init__()
        self.given = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = None if func.name().startswith("aten::_fused_") else func(*args, **(kwargs or {}))
        devices = {leaf.device.type for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)}
        if len(devices) > 1:
            self.given.append(func.name())
        return result


class Recorder:
    """Repeats nothing, and keeps what each recorded step has taken from the host."""

    taken: list[list[str]]

    def __init__(self, gpu, watch):
        self.gpu, self.watch, self.taken = gpu, watch, []

    @contextmanager
    def aside(self):
        yield

    def record(self, function, generators):
        self.gpu.work.clear()
        self.watch.given.clear()
        loss = function()
        self.taken.append([*self.gpu.work.waits, *self.gpu.crossings, *self.watch.given])
        return (lambda: None), loss


@pytest.fixture
def captured(monkeypatch):
    """Steps of a training, every other one recorded: the first of an epoch is taken as usual. Returns what each
    recorded one took from the host."""

    def run(name, given, hooks=(), drawn=None, **settings):
        made = build(name, given=given, **settings)
        task = replace(made.task, **{kind: built(kind, plugin) for kind, plugin in (drawn or {}).items()})
        views = [task.augmentation.view(n, asked.kind, asked.size) for n, asked in enumerate(made.method.views)]
        task = replace(task, augmentation=SimpleNamespace(view=lambda number, *asked: views[number]))
        with PretendedGpu() as gpu, Watch() as watch:
            recorder = Recorder(gpu, watch)

            def moved(module, *to, **more):
                if DEVICE in to:
                    gpu.take(module)
                return module

            monkeypatch.setattr(nn.Module, "to", moved)
            monkeypatch.setattr(torch, "Generator", PretendedGenerator)
            monkeypatch.setattr(trainer, "CudaRecorder", lambda device: recorder)
            monkeypatch.setattr(trainer, "Usage", lambda device: None)
            monkeypatch.setattr(graph, "WARMUP", 1)
            monkeypatch.setattr(feed, "fits_on_device", lambda images, device: True)
            training = trainer.Trainer(task, replace(made.settings, device=DEVICE, cuda_graphs=True), made.callbacks)
            for hook, function in dict(hooks).items():
                monkeypatch.setattr(type(training.method), hook, function)
            images = torch.zeros(16, 3, 8, 8, dtype=torch.uint8, device=DEVICE)
            labels = torch.zeros(16, dtype=torch.int64, device=DEVICE) if training.task.labels else None
            for step in range(4 if given else 2):
                loss = training.take_step([images], labels, Progress(step, 12, step // 2, 6))
            assert loss.device == DEVICE
        return recorder.taken

    return run


@pytest.mark.parametrize(("name", "given", "settings"), CASES)
def test_a_captured_step_takes_nothing_from_the_host(captured, name, given, settings):
    taken = captured(name, given, **settings)
    assert taken
    assert all(of_step == [] for of_step in taken), taken


@pytest.mark.parametrize(
    ("kind", "plugin", "method"),
    [
        *(("augmentation", plugin, "simclr") for plugin in REGISTRY.names("augmentation")),
        *(("masking", plugin, "mae") for plugin in REGISTRY.names("masking") if plugin != "multi-block"),
    ],
)
def test_neither_do_views_and_masks(captured, kind, plugin, method):
    (taken,) = captured(method, {}, drawn={kind: plugin})
    assert taken == []


FROM_THE_HOST = {
    "numbers that the host has": (lambda: torch.tensor([1.0], device=DEVICE), "cpu to cuda, [1]"),
    "a copy that waits for nothing": (
        lambda: torch.ones(2).pin_memory().to(DEVICE, non_blocking=True),
        "cpu to cuda, [2]",
    ),
    "a scalar tensor of the host": (lambda: torch.ones(2, device=DEVICE) * torch.tensor(3.0), "aten::mul.Tensor"),
}


@pytest.mark.parametrize("what", FROM_THE_HOST)
def test_what_comes_from_the_host_is_seen(captured, what):
    function, words = FROM_THE_HOST[what]
    (taken,) = captured("simclr", {}, {"after_step": lambda method, progress: function()})
    assert any(line.startswith(words) for line in taken), taken


def test_a_mask_as_an_index_is_none_of_a_captured_step(captured):
    hook = {"after_step": lambda method, progress: (weights := next(method.parameters()))[weights > 0]}
    with pytest.raises(WAITS):
        captured("simclr", {}, hook)
