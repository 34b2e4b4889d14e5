"""Where the time of a SimCLR step goes: host and device, launches, copies, the kernels that take longest.

usage: profile_step.py [--dry]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import torch
from measured import BATCH, DATA, DEVICE, DRY, SIZE, launched, milliseconds, now, our_step, report
from torch.profiler import ProfilerActivity, profile

from sslbench import Progress, build_plugin
from sslbench.speed.steps import EPOCHS, STEPS_PER_EPOCH
from sslbench.train.data import Batches
from sslbench.train.randomness import Stream
from sslbench.train.views import Normalise, TrainingViews

NETWORK = "convnet-small" if DRY else "resnet18-cifar"
LAPS = 1 if DRY else 5


def parts() -> dict[str, Callable[[], Any]]:
    """A whole training step, and its views and its update alone."""
    dataset, augmentation = build_plugin("dataset", DATA), build_plugin("augmentation", "simclr:preset=cifar")
    step = our_step("simclr", {"preset": "cifar"}, build_plugin("backbone", NETWORK, image_size=SIZE))
    views = TrainingViews(augmentation, step.method.views, Normalise(dataset.mean, dataset.std, DEVICE))
    stream, batches = Stream(0, "views", DEVICE), Batches(dataset.split("train"), BATCH, 0, DEVICE)
    numbers = count()

    def endless() -> Iterator[Any]:
        for epoch in count():
            yield from batches.epoch(epoch)

    feed = endless()
    images = next(feed).images

    def whole() -> None:
        number, batch = next(numbers), next(feed)
        progress = Progress(number, EPOCHS * STEPS_PER_EPOCH, 0, EPOCHS)
        step.update(views(batch.images, stream.at(number)), None, progress)

    return {"views": lambda: views(images, stream.at(0)), "step": step.arm().step, "whole": whole}


def time_each(calls: dict[str, Callable[[], Any]]) -> None:
    """Milliseconds until the host has started it, and until the device has done it."""
    for name, call in calls.items():
        host, done = milliseconds(call, 6 * LAPS)
        report(name, host_ms=host, done_ms=done, **launched(call))


def profiled(call: Callable[[], Any]) -> None:
    """Device time, launches and copies of a step, and the tables of operators."""
    activities = [ProfilerActivity.CPU, *([] if DRY else [ProfilerActivity.CUDA])]
    with profile(activities=activities) as profiler:
        began = now()
        for _ in range(LAPS):
            call()
        wall = 1000 * (now() - began) / LAPS
    table: Any = profiler.key_averages()
    busy = sum(event.self_device_time_total for event in table if "CUDA" in str(event.device_type)) / 1000 / LAPS
    calls = {event.key: event.count / LAPS for event in table if event.key.startswith(("cuda", "cuLaunch", "Memcpy"))}
    report("profiled", wall_ms=wall, device_busy_ms=busy, **calls)
    for order in ("self_cpu_time_total", *([] if DRY else ["self_device_time_total"])):
        print(table.table(sort_by=order, row_limit=22, max_name_column_width=70), flush=True)


def copies() -> None:
    """Whether a copy of 38 MB, a batch of 256 at 224 px, waits for what the GPU has still to do."""
    work, host = torch.randn(8192, 8192, device=DEVICE), torch.ones(256, 3, 224, 224, dtype=torch.uint8)
    for name, source in {"pageable": host, "pinned": host.pin_memory()}.items():
        for queued in (0, 0, 4):
            began = now()
            for _ in range(queued):
                work @ work
            source.to(DEVICE, non_blocking=True)
            returned = time.perf_counter() - began
            milliseconds = {"returned_ms": 1000 * returned, "done_ms": 1000 * (now() - began)}
            report(f"copy, {name}, behind {queued} products", **milliseconds)


if __name__ == "__main__":
    calls = parts()
    time_each(calls)
    profiled(calls["whole"])
    if not DRY:
        copies()
