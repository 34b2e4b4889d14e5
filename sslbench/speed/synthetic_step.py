"""A training step on random views that are on the device already, ready to be timed."""

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


def progress_at(step: int) -> Progress:
    """Where that training stands at a step, counted from its middle."""
    step += EPOCHS * STEPS_PER_EPOCH // 2
    return Progress(step, EPOCHS * STEPS_PER_EPOCH, step // STEPS_PER_EPOCH, EPOCHS)


@dataclass(frozen=True)
class SyntheticStep:
    """One training step on views that were made once: random numbers of the right shape, normalised already."""

    update: TrainingStep
    views: list[Tensor]
    """of each view float ``[B, 3, S, S]``"""
    labels: Tensor | None
    """int64 ``[B]``, for a method that trains on labels"""
    batch_size: int

    @property
    def method(self) -> Method:
        """What is trained."""
        return self.update.method

    def arm(self) -> Arm:
        """Masks, forward, backward, optimizer and moving averages; no augmentation and no reading of images."""
        trained = [p for p in self.method.parameters() if p.requires_grad]
        settings = self.update.settings
        return Arm(self._stepper(), self.batch_size, trained, compiled=settings.compile, device=settings.device)

    def _stepper(self) -> Callable[[], Tensor]:
        done = 0

        def step() -> Tensor:
            nonlocal done
            loss = self.update(self.views, self.labels, progress_at(done))
            done += 1
            # What a CUDA graph returns is overwritten by its next replay; the timed run keeps every loss.
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
