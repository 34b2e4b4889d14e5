"""The fixed view that encoders are evaluated on: resized, centre cropped, normalised."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sslbench.contracts.method import InputSpec
from sslbench.train.views import Normalise


class EvaluationView:
    """Images and maps as an encoder is given them for evaluation; the same for every image, nothing random."""

    def __init__(self, spec: InputSpec, device: torch.device | str) -> None:
        self.spec = spec
        self.normalise = Normalise(spec.mean, spec.std, device)

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 ``[B, 3, H, W]`` -> normalised float ``[B, 3, size, size]``."""
        spec = self.spec
        return self.normalise(centre_view(images, spec.size, spec.crop, spec.interpolation))

    def of_maps(self, maps: Tensor) -> Tensor:
        """``[B, H, W]`` -> ``[B, size, size]``, by the nearest pixel."""
        height, width = maps.shape[-2:]
        size, crop = self.spec.size, self.spec.crop
        if (height, width) == (size, size) and crop == 1:
            return maps
        target, start = resized_and_cropped(height, width, size, crop)
        rows = centres(height, target[0], start[0], size).to(maps.device)
        cols = centres(width, target[1], start[1], size).to(maps.device)
        return maps[:, rows[:, None], cols]


def resized_and_cropped(height: int, width: int, size: int, crop: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width after the resize, and where the crop of ``size`` begins in them: top, left."""
    scale = size / crop / min(height, width)
    target = (max(size, round(height * scale)), max(size, round(width * scale)))
    return target, ((target[0] - size) // 2, (target[1] - size) // 2)


def centres(side: int, target: int, start: int, size: int) -> Tensor:
    """int64 ``[size]``: the pixel of a map's ``side`` that lies under each pixel of the centre view, which is cut at
    ``start`` out of ``target`` pixels."""
    positions = (start + torch.arange(size, dtype=torch.float64) + 0.5) * side / target
    return positions.floor().long().clamp_(0, side - 1)


def centre_view(images: Tensor, size: int, crop: float = 1.0, interpolation: str = "bilinear") -> Tensor:
    """The view for evaluation: shorter side resized to ``size / crop`` (antialiased), centre cropped.

    uint8 ``[B, 3, H, W]`` -> float ``[B, 3, size, size]`` in 0..1.
    """
    height, width = images.shape[-2:]
    values = images.float().div_(255)
    if (height, width) == (size, size) and crop == 1:
        return values
    target, (top, left) = resized_and_cropped(height, width, size, crop)
    if target != (height, width):
        values = functional.interpolate(values, target, mode=interpolation, antialias=True, align_corners=False)
        # Bicubic weights are negative here and there.
        values = values.clamp_(0, 1) if interpolation == "bicubic" else values
    return values[:, :, top : top + size, left : left + size].contiguous()
