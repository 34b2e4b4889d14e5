"""The whole pipeline: images from a data set, views, step; and how much of it is waiting for images."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import count

from sslbench.contracts.augmentation import Augmentation
from sslbench.contracts.dataset import Dataset, Split
from sslbench.contracts.method import Progress
from sslbench.errors import TimingError
from sslbench.measure.step_clock import StepClock, StepTimes
from sslbench.measure.undisturbed import undisturbed_clock
from sslbench.speed.synthetic_step import EPOCHS, STEPS_PER_EPOCH, SyntheticStep
from sslbench.train.data import Batches
from sslbench.train.randomness import Stream
from sslbench.train.views import Normalise, TrainingViews

READ_EVERY = 10
"""steps between two looks at the device's clock"""
LEAST_STEPS = 10


@dataclass(frozen=True)
class EndToEnd:
    """Raw times of the steps of a pipeline, warm-up included, and their summary."""

    times: StepTimes
    step_ms: tuple[float, ...]
    wait_ms: tuple[float, ...]


def end_to_end(
    one: SyntheticStep, dataset: Dataset, augmentation: Augmentation, steps: int, seconds: float | None = None
) -> EndToEnd:
    """Train ``steps`` steps on a data set's images, as a training does, or as many as fit into ``seconds`` (10 at
    least). Raises TimingError where the training split has fewer images than the batch: another batch size has
    another speed.
    """
    settings = one.update.settings
    split = dataset.split("train")
    images = split if split.unlabelled is None else Split(split.unlabelled)
    batches = Batches(images, one.batch_size, settings.seed, settings.device, labels=one.labels is not None)
    if batches.batch_size < one.batch_size:
        raise TimingError(f"end to end: the training split has {len(images)} images, fewer than a batch")
    views = TrainingViews(augmentation, one.method.views, Normalise(dataset.mean, dataset.std, settings.device))
    stream = Stream(settings.seed, "views", settings.device)
    watch = EventWatch(settings.device) if settings.device.type == "cuda" else HostWatch()
    at = (batch for epoch in count() for batch in batches.epoch(epoch))
    began = time.perf_counter()
    for done in range(steps):
        if seconds is not None and done >= LEAST_STEPS and time.perf_counter() - began > seconds:
            break
        watch.begin()
        batch = next(at)
        watch.fetched()
        middle = EPOCHS * STEPS_PER_EPOCH // 2 + done
        progress = Progress(middle, EPOCHS * STEPS_PER_EPOCH, middle // STEPS_PER_EPOCH, EPOCHS)
        one.update(views(batch.images, stream.at(done)), batch.labels, progress)
        watch.end()
    at.close()
    step_ms, wait_ms = watch.read()
    return EndToEnd(StepTimes.of(step_ms, wait_ms, one.batch_size), tuple(step_ms), tuple(wait_ms))


class EventWatch(StepClock):
    """The clock of a training: events on the device, waiting by the host's clock."""

    def end(self) -> None:
        super().end()
        if len(self.wait_ms) % READ_EVERY == 0:
            self.drain()

    def read(self) -> tuple[list[float], list[float]]:
        self.drain()
        return self.step_ms, self.wait_ms


class HostWatch:
    """The wall clock without what other programs took of the stepping thread's time, as for steps alone."""

    def __init__(self) -> None:
        self._clock = undisturbed_clock()
        self._started = False

    def begin(self) -> None:
        if not self._started:
            self._clock.start()
            self._started = True

    def fetched(self) -> None:
        self._clock.mark()

    def end(self) -> None:
        self._clock.mark()

    def read(self) -> tuple[list[float], list[float]]:
        """Milliseconds of each step, and of its part until the batch was there."""
        laps = self._clock.stop().step_ms
        waits = list(laps[::2])
        return [wait + work for wait, work in zip(waits, laps[1::2], strict=True)], waits
