"""Crop, flip and antialiased resize of a batch, each sample with its own box.

Small images take two matrix products for the whole batch; large ones on a CPU are resized one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional

ATTEMPTS = 10
"""boxes that are tried before the largest one in the middle is taken, as torchvision does"""


class Boxes(NamedTuple):
    """One box a sample, int64 ``[B]`` each, pixels."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


def random_boxes(
    batch: int, image: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float], generator: Generator
) -> Boxes:
    """Boxes of a random share of the area and a random aspect (torchvision's ``RandomResizedCrop.get_params``).

    ``image``: height, width; ``scale``: share of the area, uniform; ``ratio``: width over height, log-uniform.
    """
    rows, cols = image
    device = generator.device
    u = torch.rand(4, batch, ATTEMPTS, generator=generator, device=device, dtype=torch.float64)
    area = rows * cols * (scale[0] + u[0] * (scale[1] - scale[0]))
    low, high = (torch.tensor(r, dtype=torch.float64).log().item() for r in ratio)
    aspect = (low + u[1] * (high - low)).exp()
    width, height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (width > 0) & (width <= cols) & (height > 0) & (height <= rows)
    # The first attempt that fits; where none does, the largest box of an allowed aspect, in the middle.
    first = fits.int().argmax(dim=1, keepdim=True)
    any_fits = fits.any(dim=1)
    middle = (min(rows, round(cols / ratio[0])), min(cols, round(rows * ratio[1])))

    def chosen(values: Tensor, otherwise: float) -> Tensor:
        return torch.where(any_fits, values.gather(1, first).squeeze(1), otherwise)

    height, width = chosen(height, middle[0]), chosen(width, middle[1])
    top = torch.where(any_fits, (u[2, :, 0] * (rows - height + 1)).floor(), ((rows - height) / 2).floor())
    left = torch.where(any_fits, (u[3, :, 0] * (cols - width + 1)).floor(), ((cols - width) / 2).floor())
    return Boxes(top.long(), left.long(), height.long(), width.long())


def resize_weights(start: Tensor, length: Tensor, full: int, size: int, flip: Tensor | None = None) -> Tensor:
    """Antialiased bilinear resize of ``[start, start + length)`` to ``size``: float32 ``[B, size, full]``.

    A triangle filter as wide as the scale, at least one pixel, cut at the box and normalised, as torch's
    ``interpolate(mode="bilinear", antialias=True)`` of the cropped box. ``flip``: bool ``[B]``, True mirrors.
    """
    device = start.device
    start, length = (v.view(-1, 1, 1).double() for v in (start, length))
    scale = length / size
    target = torch.arange(size, device=device, dtype=torch.float64).view(1, -1, 1)
    if flip is not None:
        target = torch.where(flip.view(-1, 1, 1), size - 1 - target, target)
    pixel = torch.arange(full, device=device, dtype=torch.float64).view(1, 1, -1) - start
    weights = (1 - (pixel + 0.5 - scale * (target + 0.5)).abs() / scale.clamp(min=1)).clamp_(min=0)
    weights = weights * ((pixel >= 0) & (pixel < length))
    return (weights / weights.sum(dim=2, keepdim=True)).float()


def resized_crop(
    images: Tensor, boxes: Boxes, size: int, flip: Tensor | None = None, out: Tensor | None = None
) -> Tensor:
    """uint8 ``[B, 3, H, W]`` -> float32 ``[B, 3, size, size]`` in 0..1: each box, mirrored where ``flip``, resized;
    written to ``out`` where it is given."""
    batch, channels, height, width = images.shape
    down = resize_weights(boxes.top, boxes.height, height, size) / 255
    across = resize_weights(boxes.left, boxes.width, width, size, flip)
    # Across first, on all rows and channels of a sample at once; then down.
    rows = torch.bmm(images.float().reshape(batch, channels * height, width), across.transpose(1, 2))
    views = torch.matmul(down.unsqueeze(1), rows.view(batch, channels, height, size), out=out)
    return views.clamp_(0, 1)


def resized_crop_of_image(image: Tensor, box: Sequence[int], size: int, flip: bool, out: Tensor) -> Tensor:
    """uint8 ``[3, H, W]`` -> ``out``, float32 ``[3, size, size]`` in 0..1: the box (top, left, height, width), mirrored
    where ``flip``, resized and rounded to 8 bits, as torchvision does with uint8 images.

    Reads the box alone. Fastest for an image whose channels are nearest in memory, as decoders return it.
    """
    top, left, height, width = box
    crop = image[None, :, top : top + height, left : left + width]
    if (height, width) != (size, size):
        crop = functional.interpolate(crop, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return out.copy_(crop[0].flip(2) if flip else crop[0]).mul_(1 / 255)
