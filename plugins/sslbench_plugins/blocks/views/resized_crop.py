"""Crop, flip and antialiased resize of a batch, each sample with its own box.

Small images take two matrix products for the whole batch; large ones on a CPU are resized one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional

from sslbench_plugins.blocks.views.stored import stored

ATTEMPTS = 10
"""boxes that are tried before the largest one in the middle is taken, as torchvision does"""


class Boxes(NamedTuple):
    """One box a sample, int64 ``[B]`` each, pixels."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


@dataclass(frozen=True)
class BoxRange:
    """What boxes are drawn from."""

    scale: tuple[float, float]
    """share of the area, uniform"""
    ratio: tuple[float, float]
    """width over height, log-uniform"""
    log_ratio: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        # By torch, whose logarithm may differ from Python's in the last digit.
        low, high = (torch.tensor(r, dtype=torch.float64).log().item() for r in self.ratio)
        object.__setattr__(self, "log_ratio", (low, high))


def numbers_of_boxes(batch: int, generator: Generator) -> Tensor:
    """The random numbers that ``random_boxes`` makes boxes of: float64 ``[B, 4, ATTEMPTS]`` in 0..1."""
    u = torch.rand(4, batch, ATTEMPTS, generator=generator, device=generator.device, dtype=torch.float64)
    return u.transpose(0, 1)


def random_boxes(u: Tensor, image: tuple[int, int], drawn_from: BoxRange) -> Boxes:
    """Boxes of a random share of the area and a random aspect (torchvision's ``RandomResizedCrop.get_params``) in
    images of a height and width. ``u``: see ``numbers_of_boxes``."""
    rows, cols = image
    (least, most), ratio, (low, high) = drawn_from.scale, drawn_from.ratio, drawn_from.log_ratio
    area = rows * cols * (least + u[:, 0] * (most - least))
    aspect = (low + u[:, 1] * (high - low)).exp()
    height, width = (area / aspect).sqrt().round(), (area * aspect).sqrt().round()
    fits = (height <= rows) & (width <= cols) & (torch.minimum(height, width) > 0)
    # The first attempt that fits; where none does, the largest box of an allowed aspect, in the middle.
    first = fits.int().argmax(dim=1, keepdim=True)
    any_fits = fits.any(dim=1)
    height = torch.where(any_fits, height.gather(1, first).squeeze(1), float(min(rows, round(cols / ratio[0]))))
    width = torch.where(any_fits, width.gather(1, first).squeeze(1), float(min(cols, round(rows * ratio[1]))))
    # Just below a half, so that of two places in the middle the first is taken.
    down, across = torch.where(any_fits, u[:, 2:, 0].T, 0.5 - 1e-9)
    top, left = (down * (rows - height + 1)).floor(), (across * (cols - width + 1)).floor()
    return Boxes(*(stored(side.long()) for side in (top, left, height, width)))


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


def crop_by_taps(images: Tensor, boxes: Boxes, size: int, flip: Tensor) -> Tensor:
    """``resized_crop`` to 1e-6, by the pixels that a pixel of the view is made of alone: few steps, which a compiler
    fuses, and on a GPU no product whose precision is a setting."""
    batch, image = len(images), images.shape[2:]
    counts = [math.ceil(2 * max(1, side / size)) for side in image]
    index, weights = taps(boxes, size, max(counts), flip)
    (down, across), (down_weights, across_weights) = index, weights
    # All columns of the rows that are needed, then these columns.
    rows = [part.view(batch, -1, 1, size, 1).unbind(1) for part in (down, down_weights)]
    cols = [part.view(batch, -1, 1, 1, size).unbind(1) for part in (across, across_weights)]
    views = gather_taps(images, 2, *(part[: counts[0]] for part in rows))
    return gather_taps(views, 3, *(part[: counts[1]] for part in cols)).mul(1 / 255).clamp(max=1)


def gather_taps(images: Tensor, axis: int, index: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """The mean of ``images[index[k]]`` with ``weights[k]`` along an axis of ``[B, C, H, W]``, float32; the others
    broadcast."""
    shape = list(images.shape)
    shape[axis] = index[0].shape[axis]
    out = images.gather(axis, index[0].expand(shape)) * weights[0]
    for pixel, weight in zip(index[1:], weights[1:], strict=True):
        out = torch.addcmul(out, images.gather(axis, pixel.expand(shape)), weight)
    return out * (1 / sum(weights))


def taps(boxes: Boxes, size: int, count: int, flip: Tensor) -> tuple[Tensor, Tensor]:
    """The ``count`` pixels that may have a weight in each pixel of the view, and these weights, those of
    ``resize_weights`` but for their sum: int64 and float32 ``[2, B, count, size]``, of rows and of columns."""
    across = torch.arange(2, device=flip.device).view(2, 1, 1, 1) > 0
    top, left, height, width = (side.view(-1, 1, 1) for side in boxes)
    start, length = torch.where(across, left, top), torch.where(across, width, height)
    target = torch.arange(size, device=flip.device)
    target = torch.where(across & flip.view(-1, 1, 1), size - 1 - target, target)
    scale = length.double() / size
    reach, centre = scale.clamp(min=1), scale * (target + 0.5)
    pixel = (centre - reach + 0.5).floor() + torch.arange(count, device=flip.device).view(-1, 1)
    weights = (1 - (pixel + 0.5 - centre).abs() / reach).clamp(min=0)
    weights = torch.where((pixel >= 0) & (pixel < length), weights, 0.0)
    # A pixel beyond the box has no weight; any that is there will do.
    return stored(start + torch.minimum(pixel.long().clamp(min=0), length - 1)), stored(weights.float())


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
