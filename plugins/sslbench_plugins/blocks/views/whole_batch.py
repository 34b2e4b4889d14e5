"""Colour jitter of a whole batch: every turn is computed for each sample, with factors that change nothing where it is
not due. Operations on tensors alone, none of which needs a number of the device: for ``torch.compile``, which makes two
loops of them, and for a GPU, whose host need not wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sslbench_plugins.blocks.views import colour
from sslbench_plugins.blocks.views.stored import stored

Planes = Sequence[Tensor]
"""red, green and blue, each ``[B, H, W]``"""


class Turns(NamedTuple):
    """Colour jitter as three blends, the hue, and three blends. Brightness, contrast and saturation are blends: ``own *
    x + pale * luma(x) + flat * mean of luma(x)``, clamped to 0..1. A sample's stand at their turns, before the hue or
    after it; the others change nothing. Float32 ``[2, 3, B]``: before or after the hue; which of the three."""

    own: Tensor
    pale: Tensor
    flat: Tensor
    shift: Tensor
    """of the hue, ``[B]``"""
    before_contrast: Tensor
    """bool: the blends that come before contrast"""
    hue_before_contrast: Tensor
    """bool ``[B]``"""


def turns_of(factors: Sequence[Tensor], places: Tensor) -> Turns:
    """``factors`` of brightness, contrast, saturation and hue, each ``[B]``, in the order of their ``places``,
    ``[B, 4]``, of which the smallest comes first."""
    bright, contrast, saturation, shift = factors
    if torch.compiler.is_compiling():
        columns = places.unbind(1)
        turn = [torch.zeros_like(own, dtype=torch.int64) for own in columns]
        for which, own in enumerate(columns):
            for other in columns:
                turn[which] = turn[which] + (other < own)
    else:
        # Sorting four numbers is counting the smaller ones.
        turn = list((places.unsqueeze(1) < places.unsqueeze(2)).sum(2).unbind(1))
    side = torch.arange(2, device=places.device).view(2, 1, 1)
    number = torch.arange(3, device=places.device).view(1, 3, 1) + side
    here = (number - turn[3]) * (2 * side - 1) > 0
    b, c, s = (here & (own == number) for own in turn[:3])
    return Turns(
        own=torch.where(b, bright, torch.where(c, contrast, torch.where(s, saturation, 1.0))),
        pale=torch.where(s, 1 - saturation, 0.0),
        flat=torch.where(c, 1 - contrast, 0.0),
        shift=shift,
        before_contrast=number < turn[1],
        hue_before_contrast=places[:, 3] < places[:, 1],
    )


def jitter_everywhere(images: Tensor, turns: Turns, scratch: Tensor) -> Tensor:
    """``colour.jitter`` of ``[B, 3, H, W]`` in place: few and large operations."""
    for side in (0, 1):
        for number in range(3):
            own, pale, flat = (table[side, number].view(-1, 1, 1, 1) for table in (turns.own, turns.pale, turns.flat))
            luma = colour.luma(images, scratch[0]).unsqueeze(1)
            shade = torch.addcmul(flat * luma.mean(dim=(2, 3), keepdim=True), luma, pale)
            torch.addcmul(shade, images, own, out=images).clamp_(0, 1)
        if side == 0:
            colour.hue(images, turns.shift, scratch)
    return images


def jitter_planes(planes: Planes, turns: Turns) -> Planes:
    """The same for a compiler, each pixel from its first value to its last.

    Contrast needs the mean of what came before it. That is computed twice, once for the mean alone: cheaper than to
    write it and to read it again.
    """
    before = turns.before_contrast
    first_own, first_pale = torch.where(before, turns.own, 1.0), torch.where(before, turns.pale, 0.0)
    # The third of these is never due; it holds the shifts of the hue.
    side = torch.arange(2, device=before.device).view(2, 1, 1)
    third = torch.arange(3, device=before.device).view(1, 3, 1) == 2
    shifts = torch.where((side == 1) | turns.hue_before_contrast, turns.shift, 0.0)
    rows = [turns.own, turns.pale, turns.flat, torch.where(third, shifts, first_own), first_pale]
    own, pale, flat, first_own, first_pale = stored(torch.stack(rows)).unsqueeze(-1).unsqueeze(-1)
    x = planes
    for after in (0, 1):
        # Before contrast come at most two blends.
        for which in (0, 1):
            x = blend(x, first_own[after, which], first_pale[after, which] * luma_of(x))
        x = x if after else turn_hue(x, first_own[0, 2])
    mean = luma_of(x).mean(dim=(1, 2), keepdim=True)
    x = planes
    for after in (0, 1):
        for which in range(3):
            x = blend(x, own[after, which], pale[after, which] * luma_of(x) + flat[after, which] * mean)
        x = x if after else turn_hue(x, first_own[1, 2])
    return x


def luma_of(planes: Planes) -> Tensor:
    """``colour.luma``: ``[B, H, W]``."""
    return 0.2989 * planes[0] + 0.587 * planes[1] + 0.114 * planes[2]


def blend(planes: Planes, own: Tensor, shade: Tensor) -> Planes:
    """``own * plane + shade``, within 0..1."""
    red, green, blue = (clamped(plane * own + shade) for plane in planes)
    return red, green, blue


def clamped(values: Tensor) -> Tensor:
    """``values.clamp(0, 1)``, bit for bit. A compiler for CPUs makes eight instructions of that, since it looks for NaN
    twice, and four of this: from 1 on, ``values - 1`` is exact."""
    return values.clamp(0, 1) if values.is_cuda else values.relu() - (values - 1).relu()


def turn_hue(planes: Planes, shift: Tensor) -> Planes:
    """``colour.hue`` by ``shift``, ``[B, 1, 1]``; its words for the symbols."""
    red, green, blue = planes
    value = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = value - low
    share = 1 / (chroma + 1e-20)
    t = torch.where(green == value, (blue - red) * share + 2, (red - green) * share + 4)
    t = torch.where(red == value, (green - blue) * share, t) + 6 * shift
    t = t - 6 * (t * (1 / 6)).floor()
    red = clamped(low + chroma * clamped((t - 3).abs() - 1))
    green, blue = (clamped(value - chroma * clamped((t - sixth).abs() - 1)) for sixth in (2, 4))
    return red, green, blue
