"""A training step on data that is on the device already, ready to be timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sslbench.contracts.method import Method, Progress
from sslbench.measure.timing import Arm
from sslbench.train.randomness import Stream
from sslbench.train.step import TrainingStep
from sslbench.train.task import LoopSettings, StepTask

EPOCHS, STEPS_PER_EPOCH = 100, 1000
"""of the training that the step is taken out of the middle of: past warm-ups and frozen layers"""
CLASSES = 10
"""for a method that trains on labels"""


@dataclass(frozen=True)
class SyntheticStep:
    """One training step on views that were made once: random numbers of the right shape, normalised already."""

    update: TrainingStep
    views: list[Tensor]
    labels: Tensor | None
    batch_size: int

    @property
    def method(self) -> Method:
        return self.update.method

    def arm(self) -> Arm:
        """Masks, forward, backward, optimizer and moving averages; no augmentation and no reading of images."""
        step = self._stepper()
        trained = [p for p in self.method.parameters() if p.requires_grad]
        settings = self.update.settings
        return Arm(step, self.batch_size, trained, compiled=settings.compile, device=settings.device)

    def _stepper(self) -> Callable[[], Tensor]:
        at = EPOCHS * STEPS_PER_EPOCH // 2

        def step() -> Tensor:
            nonlocal at
            progress = Progress(at, EPOCHS * STEPS_PER_EPOCH, at // STEPS_PER_EPOCH, EPOCHS)
            at += 1
            loss = self.update(self.views, self.labels, progress)
            # What a CUDA graph answers is overwritten by its next replay; the timed run keeps every loss.
            return loss.clone() if self.update.settings.compile else loss

        return step


def synthetic_step(task: StepTask, settings: LoopSettings) -> SyntheticStep:
    """Raises UserError where the method cannot work with the batch."""
    size, method = settings.batch_size, task.method
    method.check_batch(size)
    update = TrainingStep(replace(task, method=method.train()), settings, size, STEPS_PER_EPOCH)
    generator = Stream(settings.seed, "resident", settings.device).at(0)
    views = [
        torch.randn(size, 3, view.size, view.size, generator=generator, device=settings.device) for view in method.views
    ]
    labels = torch.randint(CLASSES, (size,), generator=generator, device=settings.device) if task.labels else None
    return SyntheticStep(update, views, labels, size)
