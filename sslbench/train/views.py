"""The views that a method trains on, made on its device by the augmentation and normalised here."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from sslbench.contracts.augmentation import Augmentation, BatchTransform, ViewRequest


class Normalise:
    """Float images in 0..1 -> zero mean and unit deviation per channel, by the data set's statistics."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device | str) -> None:
        # A channel without any spread (blank images) is only centred.
        safe = [value if value > 0 else 1.0 for value in std]
        self._scale = 1 / torch.tensor(safe, device=device).view(1, 3, 1, 1)
        self._shift = -torch.tensor(list(mean), device=device).view(1, 3, 1, 1) * self._scale

    def __call__(self, images: Tensor) -> Tensor:
        return torch.addcmul(self._shift, images, self._scale)


class TrainingViews:
    """All views that a method asks for, of a whole batch at once."""

    def __init__(self, augmentation: Augmentation, requests: Sequence[ViewRequest], normalise: Normalise) -> None:
        self._transforms: list[BatchTransform] = [
            augmentation.view(index, request.kind, request.size) for index, request in enumerate(requests)
        ]
        self._normalise = normalise

    def __call__(self, images: Tensor, generator: Generator) -> list[Tensor]:
        """uint8 ``[B, 3, H, W]`` -> one normalised float ``[B, 3, size, size]`` per view."""
        return [self._normalise(transform(images, generator)) for transform in self._transforms]
