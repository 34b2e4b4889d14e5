"""Plane figures as signed distances: negative inside, zero on the outline, positive outside.

Each function takes the coordinates of every pixel in the figure's own frame, ``u`` to its right and ``v`` downwards,
float32 ``[M, H, W]`` in units of its circumradius, and returns the distance in the same unit, ``[M, H, W]``. Every
figure touches or stays within the unit circle. Distances are exact near edges; around sharp corners they are those of
the nearer edge's line. Only operations that IEEE 754 rounds exactly are used, one at a time, so that a pixel does not
depend on its position in a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Figure = Callable[[Tensor, Tensor], Tensor]
ARM = math.sqrt(0.9)
"""half length of a cross's arm; a third of it is half its width"""
HALF = 1 / math.sqrt(1.16)
"""radius of a half-disc whose straight side lies 0.4 radii below the centre"""


def planes(u: Tensor, v: Tensor, degrees: Sequence[float], distance: float) -> list[Tensor]:
    """Signed distances to lines at ``distance`` from the centre, whose normals point at these angles."""
    return [u * math.cos(math.radians(angle)) + v * math.sin(math.radians(angle)) - distance for angle in degrees]


def length(u: Tensor, v: Tensor) -> Tensor:
    """Distance from the centre."""
    return (u * u + v * v).sqrt_()


def square(u: Tensor, v: Tensor) -> Tensor:
    """Axis-parallel, its corners on the unit circle."""
    return torch.maximum(u.abs(), v.abs()) - math.sqrt(0.5)


def triangle(u: Tensor, v: Tensor) -> Tensor:
    """Equilateral, one corner up: the inside of three lines."""
    first, second, third = planes(u, v, (90, 210, 330), 0.5)
    return torch.maximum(first, torch.maximum(second, third))


def cross(u: Tensor, v: Tensor) -> Tensor:
    """The union of two bars."""
    a, b = u.abs(), v.abs()
    return torch.minimum(torch.maximum(a - ARM, b - ARM / 3), torch.maximum(a - ARM / 3, b - ARM))


def star(u: Tensor, v: Tensor) -> Tensor:
    """The pentagram, one tip up: inside all but at most one of its five lines, so the second largest distance."""
    largest, *others = planes(u, v, (270, 342, 54, 126, 198), math.cos(math.radians(72)))
    second = torch.full_like(largest, -math.inf)
    for other in others:
        second = torch.maximum(second, torch.minimum(largest, other))
        largest = torch.maximum(largest, other)
    return second


def pill(u: Tensor, v: Tensor) -> Tensor:
    """A segment of length 1.2, widened by 0.4."""
    return length((u.abs() - 0.6).clamp_(min=0), v) - 0.4


def half_disc(u: Tensor, v: Tensor) -> Tensor:
    """The upper half of a disc."""
    low = v - 0.4 * HALF
    return torch.maximum(length(u, low) - HALF, low)


def crescent(u: Tensor, v: Tensor) -> Tensor:
    """The unit disc without a disc of radius 0.75 to its right."""
    return torch.maximum(length(u, v) - 1, 0.75 - length(u - 0.5, v))


def arc(u: Tensor, v: Tensor) -> Tensor:
    """A ring from radius 0.56 to 1, open to the right over a width of 0.7."""
    ring = (length(u, v) - 0.78).abs_() - 0.22
    return torch.maximum(ring, torch.minimum(u, 0.35 - v.abs()))


FIGURES: dict[str, tuple[Figure, float]] = {
    "square": (square, 90),
    "triangle": (triangle, 120),
    "cross": (cross, 90),
    "star": (star, 72),
    "pill": (pill, 180),
    "half-disc": (half_disc, 360),
    "crescent": (crescent, 360),
    "arc": (arc, 360),
}
"""name -> figure, and the smallest turn in degrees that maps it onto itself"""
