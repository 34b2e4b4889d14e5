"""Colours that people with any colour vision tell apart (Okabe and Ito 2008), and a scale from dark to light."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

Colour = tuple[int, int, int]
"""red, green, blue, 0..255"""

INK: Colour = (26, 26, 26)
PALE_INK: Colour = (90, 90, 90)
PAPER: Colour = (255, 255, 255)
GROUND: Colour = (235, 235, 235)
"""where an image does not fill its tile"""
BLUE: Colour = (0, 114, 178)
VERMILION: Colour = (213, 94, 0)
BLACK: Colour = (0, 0, 0)
DARK: Colour = (45, 45, 45)

CLASSES: tuple[Colour, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
    (102, 102, 102),
)
"""of classes 0, 1, ..., 7; the others follow in ``palette``"""
MOST_CLASSES = 254
"""that have a colour each"""
TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
LEVELS = torch.linspace(0, 255, 9).round()
"""of red, green and blue, among which the colours of further classes are chosen"""
DARKEST, LIGHTEST = 0.35, 0.95
"""lightness of these colours, 0..1: near black and near white, eyes see less than numbers"""

SCALE: tuple[Colour, ...] = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
"""of values 0, 0.2, ..., 1: darker is less (matplotlib's inferno)"""


def colour_of(number: int) -> Colour:
    """Of a class; after ``MOST_CLASSES`` they come again."""
    return palette()[number % MOST_CLASSES]


@cache
def palette() -> tuple[Colour, ...]:
    """Of all classes: ``CLASSES``, then again and again the colour that is least like all before it and like what means
    something else."""
    candidates = torch.cartesian_prod(LEVELS, LEVELS, LEVELS)
    candidates = candidates[(perceived(candidates)[:, 0] > DARKEST) & (perceived(candidates)[:, 0] < LIGHTEST)]
    places, chosen = perceived(candidates), list(CLASSES)
    taken = perceived(torch.tensor([DARK, GROUND, PAPER, *CLASSES]))
    nearest = torch.cdist(places, taken).amin(dim=1)
    while len(chosen) < MOST_CLASSES:
        best = int((nearest * 1e6).round().argmax())  # rounded: the same on every machine
        red, green, blue = (int(level) for level in candidates[best].tolist())
        chosen.append((red, green, blue))
        nearest = nearest.minimum((places - places[best]).norm(dim=1))
    return tuple(chosen)


def perceived(colours: Tensor) -> Tensor:
    """Red, green, blue ``[N, 3]``, 0..255 -> float64 ``[N, 3]``, lightness first, in which colours that look less alike
    lie farther apart (OKLab, Ottosson 2020)."""
    values = colours.double() / 255
    linear = torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    cones = linear @ torch.tensor(TO_CONES, dtype=torch.float64).T
    return cones.clamp_min(0) ** (1 / 3) @ torch.tensor(TO_LAB, dtype=torch.float64).T


def value_colours(values: Tensor) -> Tensor:
    """Float ``[H, W]`` in 0..1 -> uint8 ``[3, H, W]`` on ``SCALE``; what is not finite is ``GROUND``."""
    stops = torch.tensor(SCALE, dtype=torch.float32)
    position = values.detach().cpu().float().nan_to_num(0.0).clamp(0, 1) * (len(SCALE) - 1)
    low = position.floor().long().clamp(max=len(SCALE) - 2)
    share = (position - low)[..., None]
    colours = stops[low] * (1 - share) + stops[low + 1] * share
    colours[~torch.isfinite(values.detach().cpu())] = torch.tensor(GROUND, dtype=torch.float32)
    return colours.round().to(torch.uint8).permute(2, 0, 1)


def class_colours(values: Tensor, unknown: int = 255) -> Tensor:
    """int ``[H, W]``, 0..255 -> uint8 ``[3, H, W]``: 0 is ``DARK``, 1, 2, ... are the colours of classes 0, 1, ...,
    ``unknown`` is ``GROUND``."""
    table = torch.tensor([DARK, *(colour_of(number) for number in range(255))], dtype=torch.uint8)
    table[unknown] = torch.tensor(GROUND, dtype=torch.uint8)
    return table[values.detach().cpu().long().clamp(0, 255)].permute(2, 0, 1)
