"""Steps and a pipeline beside lightly's, from the root of a checkout.

usage: steps.py steps|compiled|lightly [--dry]
``steps``: a step of each method beside lightly's modules, or alone where lightly is not installed; ``compiled``: both
sides compiled.
``lightly``: images/s of lightly's DataLoader pipeline.
"""

from __future__ import annotations

import copy
import os
import sys
import time
import warnings
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from measured import BATCH, DATA, DEVICE, DRY, PRECISION, SIZE, attempt, launched, milliseconds, now, our_step, report

from sslbench import build_plugin
from sslbench.measure.comparison import compare_steps
from sslbench.measure.timing import Arm

PROTOCOL: dict[str, Any] = {"rounds": 1, "seconds": 0.01, "warmup": 2} if DRY else {"rounds": 25, "seconds": 4.0}
PEER = find_spec("lightly") is not None


def peers() -> Any:
    """The module of the CPU benchmark, which has both sides."""
    sys.path.insert(0, "benchmarks")
    import test_steps

    test_steps.BATCH = BATCH
    return test_steps


def their_step(name: str, backbone: Any, views: list[Any], mode: str | None = None) -> Any:
    """lightly's modules in its documentation's loop, in the precision and memory layout of ours."""
    with torch.device(DEVICE), warnings.catch_warnings(action="ignore"):
        lean = peers().Lean(backbone.to(DEVICE), views)
        lean.utils.random_token_mask = partial(lean.utils.random_token_mask, device=DEVICE)
        if mode:
            lean.step_of = compiled_parts(lean.step_of, mode)
        step = getattr(lean, name)()

    def run() -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=PRECISION == "bf16"):
            step()

    return lean, run


def compiled_parts(step_of: Any, mode: str) -> Any:
    """lightly's networks compiled in place, as its documentation leaves to whoever uses them."""

    def build(parts: Any, loss: Any, averaged: Any = ()) -> Any:
        for part in (*parts, *(network for pair in averaged for network in pair)):
            part.compile(mode=mode)
        return step_of(parts, loss, averaged)

    return build


def step_of(name: str, params: dict[str, Any], mode: str | None) -> None:
    backbone = peers().backbone_for(name)
    ours = our_step(name, params, copy.deepcopy(backbone), mode)
    how = {"method": name, "batch": BATCH, "compile": mode or "eager"}
    if not PEER:
        arm = ours.arm()
        arm.step()
        host, done = milliseconds(arm.step, 20)
        report("step", **how, ours_ms=done, ours_host_ms=host, lightly="not installed")
        return
    _, step = their_step(name, backbone, ours.views, mode)
    comparison = compare_steps(Arm(step, BATCH, None, device=DEVICE), ours.arm(), **PROTOCOL)
    facts = {key: value for key, value in comparison.described().items() if key != "differs"}
    medians = {"ours_ms": comparison.b.median_ms, "lightly_ms": comparison.a.median_ms}
    peak = (comparison.b.warm_up.peak_allocated_bytes or 0) // 2**20
    report("step", **how, **medians, **facts, **launched(ours.arm().step), peak_mb=peak)


def steps(mode: str | None = None) -> None:
    """Every method in turn."""
    for name, params in peers().PARAMS.items():
        attempt(f"step {name}", step_of, name, params, mode)


class TransformedImages(list[Any]):
    """PIL images that are transformed when they are asked for."""

    transform: Any

    def __getitem__(self, index: Any) -> Any:
        return self.transform(super().__getitem__(index))


def lightly() -> None:
    """End to end as lightly's CIFAR-10 benchmark does it: PIL images, its SimCLR transform, workers, pinned memory."""
    if not PEER:
        report("lightly end to end", error="lightly is not installed")
        return
    from PIL import Image

    with warnings.catch_warnings(action="ignore"):
        from lightly.transforms import SimCLRTransform
    images = build_plugin("dataset", DATA).split("train").images[: 8 * BATCH if DRY else None]
    dataset = TransformedImages(Image.fromarray(image) for image in images.permute(0, 2, 3, 1).numpy())
    dataset.transform = SimCLRTransform(input_size=SIZE, gaussian_blur=0.0)
    workers = 1 if DRY else len(os.sched_getaffinity(0))
    options: dict[str, Any] = {"num_workers": workers, "pin_memory": not DRY, "persistent_workers": True}
    loader = torch.utils.data.DataLoader(dataset, BATCH, shuffle=True, drop_last=True, **options)  # type: ignore[arg-type]
    lean, step = their_step("simclr", peers().backbone_for("simclr"), [])
    done, began, limit = -3 if DRY else -10, now(), 3 if DRY else 300
    for views in (views for _ in range(100) for views in loader):
        lean.views = [view.to(DEVICE, non_blocking=True) for view in views[:2]]
        step()
        done += 1
        if done == 0:
            began = now()
        if done >= limit or (done > 0 and time.perf_counter() - began > 15):
            break
    report("lightly end to end", images_per_second=done * BATCH / (now() - began), batch=BATCH, **options)


if __name__ == "__main__":
    {"steps": steps, "compiled": partial(steps, "default"), "lightly": lightly}[sys.argv[1]]()
