"""A training step that begins with a batch of images: views of them, then the method's own step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from sslbench.contracts.method import Progress
from sslbench.train.randomness import Stream
from sslbench.train.step import TrainingStep
from sslbench.train.views import TrainingViews


@dataclass(frozen=True)
class ImageStep:
    """Called with uint8 images ``[B, 3, H, W]``, the only input, and labels where the method has any."""

    views: TrainingViews
    view_stream: Stream
    update: TrainingStep

    def __call__(self, inputs: Sequence[Tensor], labels: Tensor | None, progress: Progress) -> Tensor:
        """The batch's loss."""
        self.prepare(progress)
        return self.compute(inputs, labels, progress)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What it draws from beside torch's global generators."""
        return (self.view_stream, *self.update.streams)

    def prepare(self, progress: Progress) -> None:
        """What the host does for a step."""
        self.view_stream.at(progress.step)
        self.update.prepare(progress)

    def compute(self, inputs: Sequence[Tensor], labels: Tensor | None, progress: Progress) -> Tensor:
        """What the device does for it."""
        (images,) = inputs
        return self.update.compute(self.views(images, self.view_stream.generator), labels, progress)
