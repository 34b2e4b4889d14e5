"""A data set that lies in memory as uint8 tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from sslbench import Split

CHUNK = 4096
"""images whose statistics are computed at a time"""


@dataclass(frozen=True)
class ResidentDataset:
    """Two splits of uint8 ``[N, 3, S, S]`` images, with the statistics of the training split."""

    train: Split
    test: Split
    classes: Sequence[str]

    def split(self, name: Literal["train", "test"]) -> Split:
        return self.train if name == "train" else self.test

    @property
    def image_size(self) -> int:
        return int(self._images.shape[-1])

    @property
    def mean(self) -> tuple[float, float, float]:
        return self._statistics[0]

    @property
    def std(self) -> tuple[float, float, float]:
        return self._statistics[1]

    @property
    def _images(self) -> Tensor:
        assert isinstance(self.train.images, Tensor)
        return self.train.images

    @cached_property
    def _statistics(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Mean and deviation of each channel over all pixels, of values in 0..1."""
        total = torch.zeros(2, 3, dtype=torch.float64)
        for part in self._images.split(CHUNK):
            values = part.double().transpose(0, 1).flatten(1) / 255
            total += torch.stack([values.sum(dim=1), values.square().sum(dim=1)])
        count = self._images[:, 0].numel()
        mean, square = total / max(1, count)
        deviation = (square - mean.square()).clamp_(min=0).sqrt()
        return triple(mean), triple(deviation)


def triple(values: Tensor) -> tuple[float, float, float]:
    red, green, blue = values.tolist()
    return red, green, blue
