"""Textures of a ground: per pixel a number in 0..1 between two colours, for a batch with its own parameters each.

Each function takes ``p`` and ``q``, float32 ``[M, H, W]``: the pixels' coordinates along two perpendicular directions,
in periods of the texture; ``edge``, ``[M, 1, 1]``: how much the texture changes over a period of full contrast, which
keeps edges about a pixel wide; and ``lattice``, float32 ``[M, L, L]`` in 0..1, for the textures that are random.
As in ``signed_distance``, only exactly rounded operations are used.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Texture = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
LATTICE = 8
"""random numbers along a side of ``lattice``"""


def wave(t: Tensor) -> Tensor:
    """A triangle wave of period 1 from -0.25 to 0.25, with slopes of 1."""
    return ((t - t.floor()) - 0.5).abs_() - 0.25


def plain(p: Tensor, q: Tensor, edge: Tensor, lattice: Tensor) -> Tensor:
    """The mean of both colours everywhere."""
    return p.new_full(p.shape, 0.5)


def stripes(p: Tensor, q: Tensor, edge: Tensor, lattice: Tensor) -> Tensor:
    """Across the direction of ``p``, half a period wide."""
    return (wave(p) * edge).add_(0.5).clamp_(0, 1)


def checks(p: Tensor, q: Tensor, edge: Tensor, lattice: Tensor) -> Tensor:
    """A chequerboard: where both waves have one sign, and where they do not."""
    first, second = ((wave(t) * edge).clamp_(-0.5, 0.5) for t in (p, q))
    return (first * second).mul_(2).add_(0.5)


def dots(p: Tensor, q: Tensor, edge: Tensor, lattice: Tensor) -> Tensor:
    """Discs of radius 0.3 periods on a square grid."""
    a, b = (t - t.floor() - 0.5 for t in (p, q))
    return ((0.3 - (a * a + b * b).sqrt_()) * edge).add_(0.5).clamp_(0, 1)


def clouds(p: Tensor, q: Tensor, edge: Tensor, lattice: Tensor) -> Tensor:
    """Value noise: the lattice, repeated, interpolated linearly between its points, and with more contrast."""
    low_p, low_q = p.floor(), q.floor()
    a, b = p - low_p, q - low_q
    left, top = low_p.long() % LATTICE, low_q.long() % LATTICE
    right, bottom = (left + 1) % LATTICE, (top + 1) % LATTICE
    flat = lattice.flatten(1)

    def at(row: Tensor, column: Tensor) -> Tensor:
        return flat.gather(1, (row * LATTICE + column).flatten(1)).view_as(p)

    above = at(top, left) * (1 - a) + at(top, right) * a
    below = at(bottom, left) * (1 - a) + at(bottom, right) * a
    noise = above * (1 - b) + below * b
    return (noise - 0.5).mul_(1.8).add_(0.5).clamp_(0, 1)


TEXTURES: dict[str, Texture] = {texture.__name__: texture for texture in (plain, stripes, checks, dots, clouds)}
