"""A training step ready to be timed: on random views that are on the device already, or on a data set's images."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import count

import torch
from torch import Tensor

from sslbench.contracts.augmentation import Augmentation
from sslbench.contracts.dataset import Dataset, Split
from sslbench.contracts.method import Method, Progress
from sslbench.contracts.params import MethodParams
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError, TimingError, text_of
from sslbench.measure.clocks import undisturbed_clock
from sslbench.measure.device_errors import is_gpu_fault, out_of_memory
from sslbench.measure.precision import float32_arithmetic
from sslbench.measure.step_clock import StepClock, StepTimes
from sslbench.measure.timing import Arm
from sslbench.speed.rows import SpeedRow
from sslbench.speed.suite import COMPILING
from sslbench.train.data import Batches
from sslbench.train.graph import WARMUP, CudaRecorder, GraphedStep
from sslbench.train.image_step import ImageStep
from sslbench.train.masks import draw_masks
from sslbench.train.randomness import Stream
from sslbench.train.step import TrainingStep
from sslbench.train.task import LoopSettings, StepTask, build_method
from sslbench.train.views import Normalise, TrainingViews

EPOCHS, STEPS_PER_EPOCH = 100, 1000
"""of the training that the step is taken out of the middle of: past warm-ups and frozen layers"""
CLASSES = 10
"""for a method that trains on labels"""
READ_EVERY, LEAST_STEPS = 10, 10
"""end to end: steps from one reading of the clock to the next, and steps at least"""


def progress_at(step: int) -> Progress:
    """Where that training stands at a step, counted from its middle."""
    step += EPOCHS * STEPS_PER_EPOCH // 2
    return Progress(step, EPOCHS * STEPS_PER_EPOCH, step // STEPS_PER_EPOCH, EPOCHS)


@dataclass(frozen=True)
class SyntheticStep:
    """One training step on views that were made once: random numbers of the right shape, normalised already."""

    update: TrainingStep
    take: TrainingStep | GraphedStep
    """what is called for a step: the same, or as a CUDA graph"""
    views: list[Tensor]
    """of each view float ``[B, 3, S, S]``"""
    labels: Tensor | None
    """int64 ``[B]``, for a method that trains on labels"""

    @property
    def method(self) -> Method:
        """What is trained."""
        return self.update.method

    @property
    def settings(self) -> LoopSettings:
        """Of the training: batch size, device, precision."""
        return self.update.settings

    def arm(self) -> Arm:
        """Masks, forward, backward, optimizer and moving averages; no augmentation and no reading of images."""
        trained = [p for p in self.method.parameters() if p.requires_grad]
        settings, numbers = self.settings, count()

        def step() -> Tensor:
            return self.take(self.views, self.labels, progress_at(next(numbers)))

        unlike = WARMUP + 1 if settings.cuda_graphs else 1
        return Arm(step, settings.batch_size, trained, settings.compile, settings.device, unlike)


def synthetic_step(task: StepTask, settings: LoopSettings) -> SyntheticStep:
    """Raises UserError where the method cannot work with the batch."""
    size, device, method = settings.batch_size, settings.device, task.method
    method.check_batch(size)
    update = TrainingStep(replace(task, method=method.train()), settings, size, STEPS_PER_EPOCH)
    generator = Stream(settings.seed, "resident", device).at(0)
    views = [torch.randn(size, 3, view.size, view.size, generator=generator, device=device) for view in method.views]
    labels = torch.randint(CLASSES, (size,), generator=generator, device=device) if task.labels else None
    take = GraphedStep(update, CudaRecorder(device), views, labels) if settings.cuda_graphs else update
    return SyntheticStep(update, take, views, labels)


def build_step(
    row: SpeedRow, device: torch.device, batch_size: int | None = None, *, download: bool = False
) -> SyntheticStep:
    """The row's training step with its views, for the row's batch size or another. Raises whatever the plugins raise.
    ``download``: whether the user allowed fetching what a plugin may need."""
    params = row.method.params
    assert isinstance(params, MethodParams)
    task = StepTask(
        method=build_there(row, device, download=download),
        params=params,
        masking=row.masking.build(BuildContext()) if row.masking else None,
        mask_ratio=row.mask_ratio,
        labels=row.method.spec.uses_labels,
    )
    settings = LoopSettings(
        epochs=EPOCHS,
        batch_size=batch_size or row.batch_size,
        seed=0,
        device=device,
        precision=row.precision,
        compile=COMPILING[row.compile].compile,
        cuda_graphs=COMPILING[row.compile].cuda_graphs,
    )
    return synthetic_step(task, settings)


def some_masks(method: Method, row: SpeedRow, batch_size: int | None = None) -> list[Tensor]:
    """Masks of one batch, of the row's size or another, on the CPU."""
    masking = row.masking.build(BuildContext()) if row.masking else None
    generator = torch.Generator().manual_seed(0)
    return draw_masks(method, masking, row.mask_ratio, batch_size or row.batch_size, generator)


def build_row_method(row: SpeedRow, *, download: bool) -> Method:
    """The row's method on its backbone. Raises whatever the plugins raise."""
    context = BuildContext(row.image_size, classes=CLASSES, download=download, mask_ratio=row.mask_ratio)
    return build_method(row.method, row.backbone, context)


def build_there(row: SpeedRow, device: torch.device, *, download: bool) -> Method:
    """The same, made on the device: one thread of the host takes seconds for the random weights of a large network.
    What cannot be made there is made on the host. Its weights are others than those of the same seed on a CPU."""
    if device.type == "cpu":
        return build_row_method(row, download=download)
    try:
        with device:
            return build_row_method(row, download=download)
    except Exception as error:
        if isinstance(error, SslbenchError) or out_of_memory(error) or is_gpu_fault(text_of(error)):
            raise
    return build_row_method(row, download=download)


@dataclass(frozen=True)
class EndToEnd:
    """Raw times of the steps of a pipeline, warm-up included, and their summary."""

    times: StepTimes
    step_ms: tuple[float, ...]


@float32_arithmetic()
def end_to_end(
    step: SyntheticStep, dataset: Dataset, augmentation: Augmentation, steps: int, seconds: float | None = None
) -> EndToEnd:
    """Train ``steps`` steps on a data set's images, as a training does, or as many as fit into ``seconds`` (10 at
    least). Raises TimingError where the training split has fewer images than the batch: another batch size has
    another speed.
    """
    seed, device, batch_size = step.settings.seed, step.settings.device, step.settings.batch_size
    split = dataset.split("train")
    images = split if split.unlabelled is None else Split(split.unlabelled)
    batches = Batches(images, batch_size, seed, device, labels=step.labels is not None)
    if batches.batch_size < batch_size:
        raise TimingError(f"end to end: the training split has {len(images)} images, fewer than a batch")
    normalise = Normalise(dataset.mean, dataset.std, device)
    views = TrainingViews(augmentation, step.method.views, normalise, step.settings.compile)
    images_step = ImageStep(views, Stream(seed, "views", device), step.update)
    take = GraphedStep(images_step, CudaRecorder(device)) if step.settings.cuda_graphs else images_step
    clock = StepClock(device) if device.type == "cuda" else UndisturbedStepClock(device)
    endless = (batch for epoch in count() for batch in batches.epoch(epoch))
    began = time.perf_counter()
    for number in range(steps):
        if seconds is not None and number >= LEAST_STEPS and time.perf_counter() - began > seconds:
            break
        clock.begin()
        batch = next(endless)
        clock.fetched()
        take([batch.images], batch.labels, progress_at(number))
        clock.end()
        if number % READ_EVERY == READ_EVERY - 1:
            clock.drain()
    endless.close()
    return EndToEnd(clock.summary(batch_size), tuple(clock.step_ms))


class UndisturbedStepClock(StepClock):
    """On a CPU: without what other programs took of the stepping thread's time, as for steps alone."""

    def __post_init__(self) -> None:
        self._clock = undisturbed_clock(self.device)
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

    def drain(self) -> None:
        """Read the times since the last reading."""
        if self._started:
            laps = self._clock.stop().step_ms
            self.wait_ms += laps[::2]
            self.step_ms += [wait + work for wait, work in zip(laps[::2], laps[1::2], strict=True)]
            self._started = False
