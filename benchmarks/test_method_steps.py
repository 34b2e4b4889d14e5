"""One training step of each method that is registered: masks, forward, backward, optimizer, moving averages."""

from __future__ import annotations

import pytest
import torch

from sslbench import BuildContext, Progress, UserError
from sslbench.hooks.registry import Registry
from sslbench.train.step import TrainingStep
from sslbench.train.task import LoopSettings, StepTask

REGISTRY = Registry()
BATCH, SIZE, RATIO = 8, 32, 0.75
TRAINED = [name for name in REGISTRY.catalogue.names("method") if REGISTRY.get("method", name).trains]


def build(kind, name, **context):
    """With the preset ``cifar`` or ``quick`` where it has one: images are small here."""
    spec = REGISTRY.get(kind, name)
    preset = next((spec.presets[key] for key in ("cifar", "quick") if key in spec.presets), {})
    params = spec.params(**preset)
    return spec, params, spec.build(params, BuildContext(**context))


@pytest.mark.parametrize("name", TRAINED)
def test_a_step(benchmark, rounds, name, device):
    wanted = REGISTRY.get("method", name)
    tokens = "tokens" in wanted.needs
    *_, backbone = build("backbone", "vit-tiny-small-image" if tokens else "resnet18-cifar", image_size=SIZE)
    ratio = RATIO if "masking" in wanted.uses else None
    context = {"classes": 10} if wanted.uses_labels else {}
    try:
        spec, params, method = build("method", name, backbone=backbone, image_size=SIZE, mask_ratio=ratio, **context)
    except UserError as error:  # weights that are not on this machine
        pytest.skip(str(error))
    masking = build("masking", "random")[2] if ratio else None
    settings = LoopSettings(epochs=10, batch_size=BATCH, seed=0, device=device)
    task = StepTask(method=method.train(), params=params, masking=masking, mask_ratio=ratio, labels=spec.uses_labels)
    step = TrainingStep(task, settings, BATCH, 100)
    views = [torch.randn(BATCH, 3, view.size, view.size, device=device) for view in method.views]
    labels = torch.arange(BATCH, device=device) % 10 if spec.uses_labels else None
    benchmark.group = f"a step, {'small ViT' if tokens else 'ResNet-18'}, {SIZE} px, batch {BATCH}"
    assert torch.isfinite(rounds(step, views, labels, Progress(500, 1000, 5, 10)))
