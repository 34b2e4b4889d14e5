"""Masked patches filled in from the visible pixels alone: the nearest one, or straight lines between them.

Both take ``images`` float ``[B, C, S, S]`` and ``mask`` bool ``[B, rows * cols]``, True = masked, not all of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

Grid = tuple[int, int]
"""rows and columns of patches"""
NONE = -1
DISTANCES = 1 << 22
"""in memory at once: 32 MiB of int64"""


def masked_pixels(mask: Tensor, grid: Grid, size: int) -> Tensor:
    """Patches -> pixels: bool ``[B, rows * cols]`` -> ``[B, S, S]``."""
    rows, cols = grid
    return mask.view(-1, rows, cols).repeat_interleave(size // rows, 1).repeat_interleave(size // cols, 2)


def nearest(images: Tensor, mask: Tensor, grid: Grid) -> Tensor:
    """Each masked pixel gets the colour of the nearest visible one (of equals, that in the first patch by rows)."""
    size, (rows, _) = images.shape[-1], grid
    chunk = max(1, DISTANCES // (rows * size * size))
    filled = []
    for part, part_mask in zip(torch.split(images, chunk), torch.split(mask, chunk), strict=True):
        pixels = part.flatten(2)
        source = nearest_visible(part_mask, grid, size).flatten(1)
        filled.append(pixels.gather(2, source[:, None].expand_as(pixels)).view_as(part))
    return torch.cat(filled)


def nearest_visible(mask: Tensor, grid: Grid, size: int) -> Tensor:
    """int64 ``[B, S, S]``: for each pixel the index, row-major, of the nearest visible one: the nearest of the nearest
    in each row of patches."""
    rows, cols = grid
    pixel = torch.arange(size, device=mask.device)
    first = torch.arange(rows, device=mask.device)[:, None] * (size // rows)
    # [rows, S]: the pixel row of each row of patches that is nearest to a pixel row.
    nearest_row = pixel.clamp(first, first + size // rows - 1)
    visible = ~mask.view(-1, rows, cols).repeat_interleave(size // cols, 2)
    left, right = (last_visible(visible, 2, reverse) for reverse in (False, True))
    # [B, rows, S]: the pixel column, and how far it is; without one, farther than anything in the image.
    sides = torch.stack([left, right])
    gaps = torch.where(sides == NONE, 2 * size, (sides - pixel).abs())
    column, gap = torch.where(gaps[0] <= gaps[1], left, right), gaps.amin(dim=0)
    # [B, rows, S, S]: squared distances, made unlike by the row's number.
    distance = (nearest_row - pixel).square()[:, :, None] + gap.square()[:, :, None]
    chosen = (distance * rows + torch.arange(rows, device=mask.device)[:, None, None]).argmin(dim=1)
    return nearest_row[chosen, pixel[:, None]] * size + column.gather(1, chosen)


def bilinear(images: Tensor, mask: Tensor, grid: Grid) -> Tensor:
    """Each masked pixel gets the mean of the nearest visible pixels to its left, right, top and bottom, weighted by
    1 / distance; one without any of the four the ``nearest`` one.

    Between two visible pixels of a line this is the straight line; where a pixel has visible ones on both sides, in
    both directions or in one, an image ``a + b x + c y + d x y`` comes back exactly.
    """
    visible = ~masked_pixels(mask, grid, images.shape[-1])
    total, weights = torch.zeros_like(images), torch.zeros_like(images[:, :1])
    for axis in (1, 2):
        for reverse in (False, True):
            source = last_visible(visible, axis, reverse)
            distance = (coordinates(visible, axis) - source).abs().clamp_min(1)
            weight = torch.where(source == NONE, 0.0, 1 / distance)[:, None]
            index = source.clamp_min(0)[:, None].expand_as(images)
            total += weight * images.gather(axis + 1, index)
            weights += weight
    filled = torch.where(weights > 0, total / weights.clamp_min(torch.finfo(weights.dtype).tiny), 0.0)
    filled = torch.where(visible[:, None], images, filled)
    isolated = ~visible & (weights[:, 0] == 0)
    if bool(isolated.any()):
        filled = torch.where(isolated[:, None], nearest(images, mask, grid), filled)
    return filled


def coordinates(pixels: Tensor, axis: int) -> Tensor:
    """int64 ``[S, 1]`` (axis 1, rows) or ``[1, S]`` (axis 2, columns) of ``[B, S, S]``."""
    return torch.arange(pixels.shape[axis], device=pixels.device).view((-1, 1) if axis == 1 else (1, -1))


def last_visible(visible: Tensor, axis: int, reverse: bool) -> Tensor:
    """int64 like ``visible`` bool ``[B, S, S]``: row (axis 1) or column (axis 2) of the visible pixel met last on the
    way to each pixel from the low end, or from the high end; NONE before the first."""
    last, coordinate = visible.shape[axis] - 1, coordinates(visible, axis)
    if reverse:
        from_end = torch.where(visible, last - coordinate, NONE).flip(axis).cummax(dim=axis).values.flip(axis)
        return torch.where(from_end == NONE, NONE, last - from_end)
    return torch.where(visible, coordinate, NONE).cummax(dim=axis).values
