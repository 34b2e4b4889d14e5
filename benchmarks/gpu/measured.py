"""What the scripts of this folder share: the device, sizes, and one JSON line for each measurement."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from sslbench import Backbone, BuildContext, MethodParams, build_plugin
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import default_registry
from sslbench.plan.cell import Choice
from sslbench.speed.steps import EPOCHS, SyntheticStep, synthetic_step
from sslbench.train.task import LoopSettings, StepTask

DRY = "--dry" in sys.argv
"""tiny, on the CPU"""
DEVICE = torch.device("cpu" if DRY else "cuda")
BATCH, SIZE, PRECISION = (2, 32, "fp32") if DRY else (512, 32, "bf16")
DATA = os.environ.get("DATA", "parquet:path=.data/cifar10")


def report(what: str, **facts: Any) -> None:
    """One JSON line, at once."""
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in facts.items()}
    print(json.dumps({"what": what, **rounded}), flush=True)


def now() -> float:
    """Seconds, once the device has done what it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def attempt(what: str, function: Callable[..., None], *arguments: Any) -> None:
    """One failure is reported and loses nothing else."""
    try:
        function(*arguments)
    except Exception as error:
        report(what, error=f"{type(error).__name__}: {error}"[:600])


def our_step(name: str, given: dict[str, Any], backbone: Backbone) -> SyntheticStep:
    """A method's step as ``sslbench speed`` times it: views on the device, masks, loss, optimizer, EMA updates."""
    spec = default_registry().get("method", name)
    params, mistakes = resolve(spec.label, spec.params, given, spec.presets)
    assert isinstance(params, MethodParams), mistakes
    choice: Choice[Any] = Choice(spec, params)
    masked = "masking" in choice.spec.uses
    context = BuildContext(SIZE, backbone=backbone, mask_ratio=0.75 if masked else None, device=str(DEVICE))
    task = StepTask(
        method=choice.build(context),
        params=params,
        masking=build_plugin("masking", "random") if masked else None,
        mask_ratio=context.mask_ratio,
        labels=choice.spec.uses_labels,
    )
    return synthetic_step(task, LoopSettings(EPOCHS, BATCH, 0, DEVICE, precision=PRECISION))
