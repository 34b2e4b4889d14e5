"""Figures against corners and circles, point by point."""

from __future__ import annotations

import math

import pytest
import torch

from sslbench_plugins.blocks.scenes.signed_distance import FIGURES

GRID = 101


def corner(degrees, radius=1.0):
    return radius * math.cos(math.radians(degrees)), radius * math.sin(math.radians(degrees))


def within(corners, x, y):
    """Whether a point is inside a polygon: a ray to the right crosses its outline an odd number of times."""
    inside = False
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            inside = not inside
    return inside


L, W = math.sqrt(0.9), math.sqrt(0.9) / 3
CROSS = [(W, W), (L, W), (L, -W), (W, -W), (W, -L), (-W, -L), (-W, -W), (-L, -W), (-L, W), (-W, W), (-W, L), (W, L)]
INNER = math.cos(math.radians(72)) / math.cos(math.radians(36))
STAR = [corner(270 + 36 * n, INNER if n % 2 else 1.0) for n in range(10)]
R = 1 / math.sqrt(1.16)

INSIDE = {
    "square": lambda x, y: within([corner(45 + 90 * n) for n in range(4)], x, y),
    "triangle": lambda x, y: within([corner(270 + 120 * n) for n in range(3)], x, y),
    "cross": lambda x, y: within(CROSS, x, y),
    "star": lambda x, y: within(STAR, x, y),
    "pill": lambda x, y: min(math.dist((x, y), (along, 0)) for along in (min(max(x, -0.6), 0.6),)) < 0.4,
    "half-disc": lambda x, y: math.dist((x, y), (0, 0.4 * R)) < R and y < 0.4 * R,
    "crescent": lambda x, y: math.hypot(x, y) < 1 and math.dist((x, y), (0.5, 0)) > 0.75,
    "arc": lambda x, y: 0.56 < math.hypot(x, y) < 1 and not (x > 0 and abs(y) < 0.35),
}


def coordinates():
    line = torch.linspace(-1.3, 1.3, GRID)
    return line.expand(1, GRID, GRID), line[:, None].expand(1, GRID, GRID)


def test_there_is_a_second_formula_for_each():
    assert set(INSIDE) == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_the_sign_says_what_is_inside(name):
    u, v = coordinates()
    distance = FIGURES[name][0](u, v)[0]
    line = u[0, 0].tolist()
    expected = torch.tensor([[INSIDE[name](x, y) for x in line] for y in line])
    clear = distance.abs() > 1e-5
    assert torch.equal((distance < 0)[clear], expected[clear])
    assert clear.float().mean() > 0.98


@pytest.mark.parametrize("name", FIGURES)
def test_it_stays_within_the_unit_circle_and_touches_it(name):
    u, v = coordinates()
    radius = (u * u + v * v).sqrt()[FIGURES[name][0](u, v) <= 0].max()
    assert 0.93 < radius <= 1 + 1e-6


@pytest.mark.parametrize("name", FIGURES)
def test_it_is_a_distance_near_the_outline(name):
    """A step across the outline changes the value by the length of the step, but for corners."""
    u, v = coordinates()
    distance = FIGURES[name][0](u.double(), v.double())[0]
    step = 2.6 / (GRID - 1)
    across = torch.stack(torch.gradient(distance, spacing=step)).square().sum(dim=0).sqrt()
    at_edge = distance.abs() < 0.05
    assert ((across[at_edge] - 1).abs() < 0.02).float().mean() > 0.8
    # Nowhere does it change faster.
    for axis in (0, 1):
        assert distance.diff(dim=axis).abs().max() < step * (1 + 1e-4)


@pytest.mark.parametrize("name", FIGURES)
def test_its_symmetry_is_the_smallest_turn_that_changes_nothing(name):
    figure, period = FIGURES[name]
    u, v = coordinates()

    def turned(degrees):
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return figure(u * c + v * s, v * c - u * s)

    still = figure(u, v)
    assert torch.allclose(turned(period), still, atol=1e-5)
    for part in (2, 3, 4):
        assert (turned(period / part) - still).abs().max() > 0.1
