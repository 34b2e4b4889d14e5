"""What the scripts of this folder share: the device, sizes, and one JSON line for each measurement."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from sslbench import Backbone, BuildContext, MethodParams, build_plugin
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import default_registry
from sslbench.plan.cell import Choice
from sslbench.speed.steps import EPOCHS, SyntheticStep, synthetic_step
from sslbench.testing.device_work import DeviceWork
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
    finally:
        gc.collect()
        torch.cuda.empty_cache()


def milliseconds(call: Callable[[], Any], laps: int) -> tuple[float, float]:
    """Of one call: until the host has started it, and until the device has done it."""
    laps = 2 if DRY else laps
    for _ in range(max(2, laps // 3)):
        call()
    began = now()
    for _ in range(laps):
        call()
    host = time.perf_counter() - began
    return 1000 * host / laps, 1000 * (now() - began) / laps


def launched(call: Callable[[], Any]) -> dict[str, Any]:
    """Kernels, copies and waits of one call, as the profiler counts them; on the CPU operations, from torch."""
    if DRY:
        with DeviceWork("cpu") as work:
            call()
        return {"launches": work.launches.total(), "waits": len(work.waits)}
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with profile(activities=activities) as profiler, warnings.catch_warnings(action="ignore"):
        call()
        now()
    counts: Counter[str] = Counter()
    for event in profiler.key_averages():
        counts[event.key] += event.count
    launches = sum(count for key, count in counts.items() if "LaunchKernel" in key)
    return {
        "launches": launches,
        "graph_launches": counts["cudaGraphLaunch"],
        "copies": sum(count for key, count in counts.items() if key.startswith("Memcpy")),
        "waits": sum(count for key, count in counts.items() if "Synchronize" in key) - 1,
    }


def our_task(name: str, given: dict[str, Any], backbone: Backbone, size: int = SIZE) -> StepTask:
    """A method by name with its parameters, ready to be trained on images of a size."""
    spec = default_registry().get("method", name)
    params, mistakes = resolve(spec.label, spec.params, given, spec.presets)
    assert isinstance(params, MethodParams), mistakes
    choice: Choice[Any] = Choice(spec, params)
    masked = "masking" in choice.spec.uses
    context = BuildContext(size, backbone=backbone, mask_ratio=0.75 if masked else None, device=str(DEVICE))
    return StepTask(
        method=choice.build(context),
        params=params,
        masking=build_plugin("masking", "random") if masked else None,
        mask_ratio=context.mask_ratio,
        labels=choice.spec.uses_labels,
    )


def our_step(name: str, given: dict[str, Any], backbone: Backbone, mode: str | None = None) -> SyntheticStep:
    """A method's step as ``sslbench speed`` times it: masks, loss, optimizer, EMA updates; ``mode``:
    None: eagerly, else compiled."""
    settings = LoopSettings(EPOCHS, BATCH, 0, DEVICE, precision=PRECISION, compile=mode is not None)
    return synthetic_step(our_task(name, given, backbone), settings)
