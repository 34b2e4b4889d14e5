"""Mild rotation, scale, shift and brightness, for small grey images on a dark ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from sslbench import AugmentationSpec, Params, centre_view, hookimpl, param


class AffineParams(Params):
    """Nothing is mirrored: a mirrored digit is another sign."""

    degrees: float = param(20.0, "rotation, uniform to either side", ge=0, le=180, unit="degrees")
    scale_min: float = param(0.7, "smallest size of the content; the largest is as it was", gt=0, le=1)
    shift: float = param(0.1, "shift down and across, uniform to either side, as a share of the side", ge=0, lt=1)
    brightness: float = param(0.3, "brightness factor, uniform in 1 -/+ this", ge=0, le=1)


@dataclass(frozen=True)
class AffineView:
    """uint8 ``[B, 3, H, W]`` -> float32 ``[B, 3, size, size]`` in 0..1; bilinear, and black outside the image."""

    params: AffineParams
    size: int

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.apply(images, self.draw(len(images), (images.shape[2], images.shape[3]), generator))

    def draw(self, batch: int, image: tuple[int, int], generator: Generator) -> Tensor:
        """``[B, 5]`` in 0..1."""
        return torch.rand(5, batch, generator=generator, device=generator.device).T

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The views by these numbers."""
        p, u = self.params, drawn.T
        spread = 2 * u - 1
        angle = spread[0] * math.radians(p.degrees)
        scale = p.scale_min + u[1] * (1 - p.scale_min)
        moved = warp(centre_view(images, self.size), angle, scale, spread[2] * p.shift, spread[3] * p.shift)
        return moved.mul_((1 + spread[4] * p.brightness).view(-1, 1, 1, 1)).clamp_(0, 1)


def warp(images: Tensor, angle: Tensor, scale: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Rotate, scale, then shift the content of each image ``[B, C, S, S]`` about its centre; ``[B]`` each: ``angle`` in
    radians, positive clockwise, ``scale``, ``down`` and ``across`` as shares of the side. Equal to torchvision's
    ``affine`` with bilinear interpolation and a black fill."""
    cos, sin = angle.cos() / scale, angle.sin() / scale
    # From a position in the view to one in the image; coordinates run from -1 to 1, so a side is 2.
    x, y = -2 * across, -2 * down
    rows = torch.stack([cos, sin, cos * x + sin * y, -sin, cos, cos * y - sin * x], dim=1).view(-1, 2, 3)
    positions = functional.affine_grid(rows, list(images.shape), align_corners=False)
    return functional.grid_sample(images, positions, mode="bilinear", padding_mode="zeros", align_corners=False)


class AffineViews:
    """The same distribution for every index and kind."""

    def __init__(self, params: AffineParams) -> None:
        self.params = params

    def view(self, index: int, kind: str, size: int) -> AffineView:
        return AffineView(self.params, size)


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [AugmentationSpec(name="affine", params=AffineParams, build=lambda params, context: AffineViews(params))]
