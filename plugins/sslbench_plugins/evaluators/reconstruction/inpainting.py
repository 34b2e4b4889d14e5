"""Hidden patches filled in from the visible pixels alone: the nearest one, or straight lines between them."""

from __future__ import annotations

import torch
from torch import Tensor

NONE = -1
DISTANCES = 1 << 22
"""held at once: 32 MiB of int64"""


def hidden_pixels(mask: Tensor, grid: tuple[int, int], size: int) -> Tensor:
    """Patches -> pixels: bool ``[B, rows * cols]`` -> ``[B, S, S]``."""
    rows, cols = grid
    return mask.view(-1, rows, cols).repeat_interleave(size // rows, 1).repeat_interleave(size // cols, 2)


def nearest(images: Tensor, mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """Each hidden pixel gets the colour of the visible one whose centre is nearest (of equals, the one in the first
    patch, row by row).

    ``images`` float ``[B, C, S, S]``; ``mask`` bool ``[B, rows * cols]``, True = hidden, not all of a row. The
    nearest visible pixel of each row of patches comes first, then the nearest of these.
    """
    size, (rows, cols) = images.shape[-1], grid
    place = torch.arange(size, device=images.device)
    first = torch.arange(rows, device=images.device)[:, None] * (size // rows)
    # [rows, S]: the pixel row of each row of patches that is nearest to a pixel row.
    line = place.clamp(first, first + size // rows - 1)
    step = max(1, DISTANCES // (rows * size * size))
    filled = []
    for part, hidden in zip(images.split(step), mask.split(step), strict=True):
        visible = ~hidden.view(-1, rows, cols).repeat_interleave(size // cols, 2)
        left, right = (last_visible(visible, 2, reverse) for reverse in (False, True))
        # [b, rows, S]: the pixel column, and how far it is; without one, farther than anything in the image.
        gaps = torch.where(torch.stack([left, right]) == NONE, 2 * size, (torch.stack([left, right]) - place).abs())
        column, gap = torch.where(gaps[0] <= gaps[1], left, right), gaps.amin(dim=0)
        # [b, rows, S, S]: squared distances, made unlike by the row's number.
        far = (line - place).square()[:, :, None] + gap.square()[:, :, None]
        chosen = (far * rows + torch.arange(rows, device=far.device)[:, None, None]).argmin(dim=1)
        source = line[chosen, place[:, None]] * size + column.gather(1, chosen)
        pixels = part.flatten(2)
        filled.append(pixels.gather(2, source.flatten(1)[:, None].expand_as(pixels)).view_as(part))
    return torch.cat(filled)


def bilinear(images: Tensor, mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """Each hidden pixel gets the mean of the nearest visible pixels to its left, right, top and bottom, weighted by
    1 / distance; one without any of the four the ``nearest`` one.

    Between two visible pixels of a line this is the straight line; where a pixel has visible ones on both sides, in
    both directions or in one, an image ``a + b x + c y + d x y`` comes back exactly. Arguments as for ``nearest``.
    """
    size = images.shape[-1]
    visible = ~hidden_pixels(mask, grid, size)
    total, weights = torch.zeros_like(images), torch.zeros_like(images[:, :1])
    for axis in (1, 2):
        for reverse in (False, True):
            source = last_visible(visible, axis, reverse)
            place = torch.arange(size, device=images.device).view((-1, 1) if axis == 1 else (1, -1))
            weight = torch.where(source == NONE, 0.0, 1 / (place - source).abs().clamp_min(1))[:, None]
            index = source.clamp_min(0)[:, None].expand_as(images)
            total += weight * images.gather(axis + 1, index)
            weights += weight
    found = torch.where(weights > 0, total / weights.clamp_min(torch.finfo(weights.dtype).tiny), 0.0)
    found = torch.where(visible[:, None], images, found)
    lost = ~visible & (weights[:, 0] == 0)
    if bool(lost.any()):
        found = torch.where(lost[:, None], nearest(images, mask, grid), found)
    return found


def last_visible(visible: Tensor, axis: int, reverse: bool) -> Tensor:
    """int64 like ``visible`` ``[B, S, S]``: row (axis 1) or column (axis 2) of the visible pixel met last on the way to
    each pixel from the low end, or from the high end; NONE before the first."""
    size = visible.shape[axis]
    place = torch.arange(size, device=visible.device).view((-1, 1) if axis == 1 else (1, -1))
    if reverse:
        away = torch.where(visible, size - 1 - place, NONE).flip(axis).cummax(dim=axis).values.flip(axis)
        return torch.where(away == NONE, NONE, size - 1 - away)
    return torch.where(visible, place, NONE).cummax(dim=axis).values
