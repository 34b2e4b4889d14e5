"""Two SimCLR views of 512 images, as a training makes them: milliseconds, launches, eagerly and compiled.

usage: views.py [--dry]
"""

from __future__ import annotations

from functools import partial

import torch
from measured import DEVICE, DRY, attempt, launched, milliseconds, report

from sslbench import build_plugin
from sslbench.contracts.augmentation import ViewRequest
from sslbench.train.randomness import Stream
from sslbench.train.views import Normalise, TrainingViews

IMAGES, LAPS = (4, 1) if DRY else (512, 30)
SIZES = {32: "simclr:preset=cifar", 224: "simclr"}
"""side of a view -> augmentation; the images of 224 px views have 256"""


def measure(size: int, augmentation: str, compiled: bool) -> None:
    side = 256 if size == 224 else size
    images = torch.randint(0, 256, (IMAGES, 3, side, side), dtype=torch.uint8, device=DEVICE)
    normalise = Normalise((0.5,) * 3, (0.25,) * 3, DEVICE)
    requests = [ViewRequest("global", size)] * 2
    call = TrainingViews(build_plugin("augmentation", augmentation), requests, normalise, compiled, print)
    stream = Stream(0, "views", DEVICE)
    host, done = milliseconds(lambda: call(images, stream.at(0)), LAPS)
    facts = launched(lambda: call(images, stream.at(0)))
    how = "compiled" if compiled else "eager"
    report(f"two views, {size} px, {how}", images=IMAGES, host_ms=host, done_ms=done, **facts)


if __name__ == "__main__":
    for size, augmentation in SIZES.items():
        for compiled in (False, *([] if DRY else [True])):
            attempt(f"two views, {size} px", partial(measure, compiled=compiled), size, augmentation)
