"""Images as encoders are given them: the random views of a training, and the fixed view of evaluation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional

from sslbench.contracts.augmentation import Augmentation, BatchTransform, DrawnTransform, ViewRequest
from sslbench.contracts.method import InputSpec
from sslbench.train.compiled_views import CompiledView


class Normalise:
    """Float images in 0..1 -> zero mean and unit standard deviation per channel, by the data set's statistics."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device | str) -> None:
        # A channel without any spread (blank images) is only centred.
        safe = [value if value > 0 else 1.0 for value in std]
        self.scale = 1 / torch.tensor(safe, device=device).view(1, 3, 1, 1)
        self.shift = -torch.tensor(list(mean), device=device).view(1, 3, 1, 1) * self.scale

    def __call__(self, images: Tensor) -> Tensor:
        return torch.addcmul(self.shift, images, self.scale)


class TrainingViews:
    """All views that a method asks for, of a whole batch at once."""

    def __init__(
        self,
        augmentation: Augmentation,
        requests: Sequence[ViewRequest],
        normalise: Normalise,
        compiled: bool = False,
        on_warning: Callable[[str], None] = warnings.warn,
    ) -> None:
        """``compiled``: each view is one compiled function, where the augmentation's transform is a ``DrawnTransform``;
        ``on_warning`` is called where torch cannot compile it, and its views are made uncompiled."""
        transforms = [augmentation.view(i, request.kind, request.size) for i, request in enumerate(requests)]
        self._views: list[BatchTransform] = []
        for transform in transforms:
            if compiled and isinstance(transform, DrawnTransform):
                self._views.append(CompiledView(transform, normalise, normalise.scale, normalise.shift, on_warning))
            else:
                self._views.append(partial(normalised_view, transform, normalise))

    def __call__(self, images: Tensor, generator: Generator) -> list[Tensor]:
        """uint8 ``[B, 3, H, W]`` -> one normalised float ``[B, 3, size, size]`` per view."""
        return [view(images, generator) for view in self._views]


def normalised_view(transform: BatchTransform, normalise: Normalise, images: Tensor, generator: Generator) -> Tensor:
    """uint8 ``[B, 3, H, W]`` -> normalised float ``[B, 3, size, size]``, uncompiled."""
    return normalise(transform(images, generator))


class EvaluationView:
    """Images and maps resized, centre cropped and normalised; the same for every image, nothing random."""

    def __init__(self, spec: InputSpec, device: torch.device | str) -> None:
        self.spec = spec
        self.normalise = Normalise(spec.mean, spec.std, device)

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 ``[B, 3, H, W]`` -> normalised float ``[B, 3, size, size]``."""
        spec = self.spec
        return self.normalise(centre_view(images, spec.size, spec.crop, spec.interpolation))

    def of_maps(self, maps: Tensor) -> Tensor:
        """``[B, H, W]`` -> ``[B, size, size]``, by the nearest pixel."""
        (height, width), size, crop = maps.shape[-2:], self.spec.size, self.spec.crop
        if (height, width) == (size, size) and crop == 1:
            return maps
        resized, (top, left) = resized_and_cropped(height, width, size, crop)
        rows = nearest_pixels(height, resized[0], top, size).to(maps.device)
        cols = nearest_pixels(width, resized[1], left, size).to(maps.device)
        return maps[:, rows[:, None], cols]


def resized_and_cropped(height: int, width: int, size: int, crop: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width after the resize, and where the crop of ``size`` begins in them: top, left."""
    scale = size / crop / min(height, width)
    resized = (max(size, round(height * scale)), max(size, round(width * scale)))
    return resized, ((resized[0] - size) // 2, (resized[1] - size) // 2)


def nearest_pixels(side: int, resized: int, start: int, size: int) -> Tensor:
    """int64 ``[size]``: the pixel of ``side`` below each pixel of a view that begins at ``start`` of ``resized``."""
    positions = (start + torch.arange(size, dtype=torch.float64) + 0.5) * side / resized
    return positions.floor().long().clamp_(0, side - 1)


def centre_view(images: Tensor, size: int, crop: float = 1.0, interpolation: str = "bilinear") -> Tensor:
    """uint8 ``[B, 3, H, W]`` -> float ``[B, 3, size, size]`` in 0..1: the shorter side resized to ``size / crop``
    (antialiased), then centre cropped."""
    height, width = images.shape[-2:]
    values = images.float().div_(255)
    if (height, width) == (size, size) and crop == 1:
        return values
    resized, (top, left) = resized_and_cropped(height, width, size, crop)
    if resized != (height, width):
        values = functional.interpolate(values, resized, mode=interpolation, antialias=True, align_corners=False)
        # Bicubic weights are negative here and there.
        values = values.clamp_(0, 1) if interpolation == "bicubic" else values
    return values[:, :, top : top + size, left : left + size].contiguous()
