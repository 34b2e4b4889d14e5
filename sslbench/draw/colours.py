"""Colours that people with any colour vision tell apart (Okabe and Ito 2008), and a scale from dark to light."""

from __future__ import annotations

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
"""of classes 0, 1, ...; from the ninth on they come again"""

SCALE: tuple[Colour, ...] = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
"""of values 0, 0.2, ..., 1: darker is less (matplotlib's inferno)"""


def colour_of(number: int) -> Colour:
    """Of a class."""
    return CLASSES[number % len(CLASSES)]


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
    """int ``[H, W]``, 0..255 -> uint8 ``[3, H, W]``: 0 is ``DARK``, 1, 2... are ``CLASSES``, ``unknown`` is
    ``GROUND``."""
    table = torch.tensor([DARK, *(colour_of(number) for number in range(255))], dtype=torch.uint8)
    table[unknown] = torch.tensor(GROUND, dtype=torch.uint8)
    return table[values.detach().cpu().long().clamp(0, 255)].permute(2, 0, 1)
