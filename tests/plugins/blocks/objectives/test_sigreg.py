from __future__ import annotations

import cmath
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from sslbench_plugins.blocks.objectives.sigreg import sigreg, unit_slices

CPU = torch.device("cpu")


def difference(xs, t):
    """Weighted squared distance between the characteristic functions of a sample and of a standard Gaussian, at t."""
    empirical = sum(cmath.exp(1j * t * x) for x in xs) / len(xs)
    gaussian = math.exp(-(t**2) / 2)
    return abs(empirical - gaussian) ** 2 * gaussian


def plain(embeddings, slices, knots, reach):
    """Balestriero and LeCun 2025, equations of Epps-Pulley and SIGReg: one view, one slice, one knot at a time."""
    statistics = []
    for view in embeddings.tolist():
        for direction in slices.T.tolist():
            xs = [sum(a * b for a, b in zip(z, direction, strict=True)) for z in view]
            ts = [-reach + i * reach / (knots - 1) for i in range(2 * knots - 1)]
            values = [difference(xs, t) for t in ts]
            trapezoids = [(a + b) / 2 * reach / (knots - 1) for a, b in pairwise(values)]
            statistics.append(len(view) * sum(trapezoids))
    return sum(statistics) / len(statistics)


def sample(views=2, images=5, dim=3, seed=0):
    return torch.randn(views, images, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("knots", "reach"), [(17, 3.0), (5, 3.0), (2, 1.0)])
def test_it_equals_the_plain_formula_over_both_halves_of_the_line(knots, reach):
    embeddings, slices = 2 * sample() + 0.5, unit_slices(3, 4, 0, CPU).double()
    expected = plain(embeddings, slices, knots, reach)
    assert sigreg(embeddings, slices, knots, reach).item() == pytest.approx(expected, rel=1e-12)


def test_with_many_knots_it_is_the_integral():
    embeddings, slices = sample(views=1), torch.eye(3, dtype=torch.float64)[:, :1]
    xs = embeddings[0, :, 0].tolist()
    integral, _ = quad(lambda t: difference(xs, t), -3, 3)
    assert sigreg(embeddings, slices, 4001, 3.0).item() == pytest.approx(5 * integral, rel=1e-6)


def test_its_gradient_is_that_of_finite_differences():
    embeddings, slices = sample(images=4).requires_grad_(), unit_slices(3, 4, 1, CPU).double()
    assert torch.autograd.gradcheck(lambda z: sigreg(z, slices), embeddings)


def test_it_is_smallest_for_a_standard_gaussian_and_grows_with_the_images_where_they_are_none():
    slices = unit_slices(8, 64, 0, CPU)
    gaussian = sample(1, 2000, 8).float()
    near = sigreg(gaussian, slices).item()
    collapsed = torch.zeros_like(gaussian)
    for other in (2 * gaussian, gaussian + 1, gaussian.sign() * 3**0.5, collapsed):
        assert sigreg(other, slices).item() > 3 * near
    half = sigreg(collapsed[:, :1000], slices).item()
    assert sigreg(collapsed, slices).item() == pytest.approx(2 * half, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_compared_in_float32(dtype):
    embeddings = (100 * sample(1, 8, 4)).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = sigreg(embeddings, unit_slices(4, 16, 0, CPU))
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(embeddings.grad).all()


def test_slices_have_unit_length_and_are_others_at_every_step():
    slices = [unit_slices(6, 32, step, CPU) for step in range(20)]
    assert torch.allclose(torch.stack(slices).norm(dim=1), torch.ones(20, 32))
    cosines = torch.cat(slices, dim=1).T
    alike = (cosines @ cosines.T).fill_diagonal_(0)
    assert alike.max() < 0.9999


def test_slices_are_uniform_on_the_sphere():
    slices = unit_slices(5, 20_000, 7, CPU).double()
    assert slices.mean(dim=1).abs().max() < 4 / math.sqrt(5 * 20_000)
    assert (slices @ slices.T / 20_000 - torch.eye(5) / 5).abs().max() < 0.01
    fourth = slices.pow(4).mean(dim=1)  # 3 / (D (D + 2)) on the sphere
    assert np.allclose(fourth, 3 / 35, rtol=0.05)


def test_slices_follow_from_the_step_alone_and_move_no_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    slices = unit_slices(4, 8, 3, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(unit_slices(4, 8, 3, CPU), slices)
