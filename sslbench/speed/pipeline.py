"""The whole pipeline: images from a data set, views, step; and how much of it is waiting for images."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import count

from sslbench.contracts.augmentation import Augmentation
from sslbench.contracts.dataset import Dataset, Split
from sslbench.errors import TimingError
from sslbench.measure.step_clock import StepClock, StepTimes
from sslbench.measure.undisturbed import undisturbed_clock
from sslbench.speed.synthetic_step import SyntheticStep, progress_at
from sslbench.train.data import Batches
from sslbench.train.randomness import Stream
from sslbench.train.views import Normalise, TrainingViews

READ_EVERY = 10
"""steps from one reading of the device's clock to the next"""
LEAST_STEPS = 10


@dataclass(frozen=True)
class EndToEnd:
    """Raw times of the steps of a pipeline, warm-up included, and their summary."""

    times: StepTimes
    step_ms: tuple[float, ...]
    wait_ms: tuple[float, ...]
    """of each step, until its batch was there"""


def end_to_end(
    step: SyntheticStep, dataset: Dataset, augmentation: Augmentation, steps: int, seconds: float | None = None
) -> EndToEnd:
    """Train ``steps`` steps on a data set's images, as a training does, or as many as fit into ``seconds`` (10 at
    least). Raises TimingError where the training split has fewer images than the batch: another batch size has
    another speed.
    """
    settings = step.update.settings
    split = dataset.split("train")
    images = split if split.unlabelled is None else Split(split.unlabelled)
    batches = Batches(images, step.batch_size, settings.seed, settings.device, labels=step.labels is not None)
    if batches.batch_size < step.batch_size:
        raise TimingError(f"end to end: the training split has {len(images)} images, fewer than a batch")
    views = TrainingViews(augmentation, step.method.views, Normalise(dataset.mean, dataset.std, settings.device))
    stream = Stream(settings.seed, "views", settings.device)
    clock = EventPipelineClock(settings.device) if settings.device.type == "cuda" else HostPipelineClock()
    endless = (batch for epoch in count() for batch in batches.epoch(epoch))
    began = time.perf_counter()
    for number in range(steps):
        if seconds is not None and number >= LEAST_STEPS and time.perf_counter() - began > seconds:
            break
        clock.begin()
        batch = next(endless)
        clock.fetched()
        step.update(views(batch.images, stream.at(number)), batch.labels, progress_at(number))
        clock.end()
    endless.close()
    step_ms, wait_ms = clock.read()
    return EndToEnd(StepTimes.of(step_ms, wait_ms, step.batch_size), tuple(step_ms), tuple(wait_ms))


class EventPipelineClock(StepClock):
    """The clock of a training: events on the device, waiting by the host's clock."""

    def end(self) -> None:
        """After a step; waits for the device at every tenth."""
        super().end()
        if len(self.wait_ms) % READ_EVERY == 0:
            self.drain()

    def read(self) -> tuple[list[float], list[float]]:
        """Milliseconds of each step, and of its part until the batch was there."""
        self.drain()
        return self.step_ms, self.wait_ms


class HostPipelineClock:
    """The wall clock without what other programs took of the stepping thread's time, as for steps alone."""

    def __init__(self) -> None:
        self._clock = undisturbed_clock()
        self._started = False

    def begin(self) -> None:
        """Before the batch is fetched."""
        if not self._started:
            self._clock.start()
            self._started = True

    def fetched(self) -> None:
        """When the batch is there."""
        self._clock.mark()

    def end(self) -> None:
        """After the step."""
        self._clock.mark()

    def read(self) -> tuple[list[float], list[float]]:
        """Milliseconds of each step, and of its part until the batch was there."""
        laps = self._clock.stop().step_ms
        waits = list(laps[::2])
        return [wait + work for wait, work in zip(waits, laps[1::2], strict=True)], waits
