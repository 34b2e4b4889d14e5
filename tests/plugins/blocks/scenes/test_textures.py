from __future__ import annotations

import math

import pytest
import torch

from sslbench_plugins.blocks.scenes.textures import LATTICE, TEXTURES

SHARP = 1000.0


def tent(t):
    return abs(t - math.floor(t) - 0.5) - 0.25


def clouded(p, q, lattice):
    """Four neighbours on a lattice that repeats, weighted by the areas opposite to them."""
    left, top = math.floor(p), math.floor(q)
    value = 0.0
    for down in (0, 1):
        for right in (0, 1):
            weight = abs(1 - right - (p - left)) * abs(1 - down - (q - top))
            value += weight * lattice[(top + down) % LATTICE][(left + right) % LATTICE]
    return min(max(1.8 * (value - 0.5) + 0.5, 0), 1)


PLAIN = {
    "plain": lambda p, q, lattice: 0.5,
    "stripes": lambda p, q, lattice: float(tent(p) > 0),
    "checks": lambda p, q, lattice: float((tent(p) > 0) == (tent(q) > 0)),
    "dots": lambda p, q, lattice: float(math.hypot(p - math.floor(p) - 0.5, q - math.floor(q) - 0.5) < 0.3),
    "clouds": clouded,
}


@pytest.mark.parametrize("name", TEXTURES)
def test_a_texture_is_what_its_plain_formula_says(name):
    generator = torch.Generator().manual_seed(0)
    p, q = (torch.rand(2, 9, 9, generator=generator) * 20 - 10 for _ in range(2))
    lattice = torch.rand(2, LATTICE, LATTICE, generator=generator)
    values = TEXTURES[name](p, q, torch.full((2, 1, 1), SHARP), lattice)
    for image in range(2):
        expected = [
            [PLAIN[name](p[image, r, c].item(), q[image, r, c].item(), lattice[image].tolist()) for c in range(9)]
            for r in range(9)
        ]
        # Points that lie on an edge are neither.
        sure = (values[image] - values[image].round()).abs() < 1e-6 if name in ("stripes", "checks", "dots") else ...
        assert torch.allclose(values[image][sure], torch.tensor(expected)[sure], atol=1e-5)
        if sure is not ...:
            assert sure.float().mean() > 0.9


@pytest.mark.parametrize("name", TEXTURES)
@pytest.mark.parametrize("edge", [2.0, 7.0, SHARP])
def test_it_stays_within_its_range(name, edge):
    generator = torch.Generator().manual_seed(1)
    p, q = (torch.rand(4, 30, 30, generator=generator) * 20 for _ in range(2))
    lattice = torch.rand(4, LATTICE, LATTICE, generator=generator)
    values = TEXTURES[name](p, q, torch.full((4, 1, 1), edge), lattice)
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-6
