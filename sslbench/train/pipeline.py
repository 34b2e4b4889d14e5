"""The whole pipeline: images from a data set, views, step; and how much of it is waiting for images."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import count

from sslbench.errors import TimingError
from sslbench.hooks.contracts import Augmentation, Dataset, Progress, Split
from sslbench.measure.step_clock import StepClock, StepTimes
from sslbench.train.data import Batches
from sslbench.train.randomness import Stream
from sslbench.train.resident import EPOCHS, STEPS_PER_EPOCH, Resident
from sslbench.train.views import Normalise, TrainingViews

READ_EVERY = 10
"""steps between two looks at the device's clock"""


@dataclass(frozen=True)
class EndToEnd:
    """Raw times of the steps of a pipeline, warm-up included, and their summary."""

    times: StepTimes
    step_ms: tuple[float, ...]
    wait_ms: tuple[float, ...]


def end_to_end(
    one: Resident, dataset: Dataset, augmentation: Augmentation, steps: int, seconds: float | None = None
) -> EndToEnd:
    """Train ``steps`` steps on a data set's images, as a training does, or as many as fit into ``seconds`` (10 at
    least). Raises TimingError where the training split has fewer images than the batch: another batch size has
    another speed.
    """
    schedule = one.update.schedule
    split = dataset.split("train")
    images = split if split.unlabelled is None else Split(split.unlabelled)
    batches = Batches(images, one.batch_size, schedule.seed, schedule.device, labels=one.labels is not None)
    if batches.batch_size < one.batch_size:
        raise TimingError(f"end to end: the training split has {len(images)} images, fewer than a batch")
    views = TrainingViews(augmentation, one.method.views, Normalise(dataset.mean, dataset.std, schedule.device))
    stream = Stream(schedule.seed, "views", schedule.device)
    clock = StepClock(schedule.device)
    at = (batch for epoch in count() for batch in batches.epoch(epoch))
    began = time.perf_counter()
    for done in range(steps):
        if seconds is not None and done >= 10 and time.perf_counter() - began > seconds:
            break
        clock.begin()
        batch = next(at)
        clock.fetched()
        middle = EPOCHS * STEPS_PER_EPOCH // 2 + done
        progress = Progress(middle, EPOCHS * STEPS_PER_EPOCH, middle // STEPS_PER_EPOCH, EPOCHS)
        one.update(views(batch.images, stream.at(done)), batch.labels, progress)
        clock.end()
        if done % READ_EVERY == READ_EVERY - 1:
            clock.drain()
    at.close()
    return EndToEnd(clock.summary(one.batch_size), tuple(clock.step_ms), tuple(clock.wait_ms))
