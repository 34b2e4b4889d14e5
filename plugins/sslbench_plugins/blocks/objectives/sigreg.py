"""SIGReg, sketched isotropic Gaussian regularisation: how far embeddings are from a standard Gaussian, as seen along
random directions (Balestriero and LeCun 2025, LeJEPA, section 4)."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from sslbench import mean_over_ranks, ranks
from sslbench_plugins.blocks.objectives.numerics import full_precision

WORD = 0xFFFFFFFF
"""the largest number of 32 bits"""
Whole = TypeVar("Whole", int, Tensor)


def sigreg(embeddings: Tensor, slices: Tensor, knots: int = 17, reach: float = 3.0) -> Tensor:
    """Mean over views and slices of the Epps-Pulley statistic of embeddings ``[V, B, D]``: a scalar, near 0 for a
    standard Gaussian. The other arguments are those of ``epps_pulley``."""
    return epps_pulley(embeddings, slices, knots, reach).mean()


def epps_pulley(embeddings: Tensor, slices: Tensor, knots: int, reach: float) -> Tensor:
    """The statistic of each projection, over the images of all ranks, ``[..., M]``.

    ``embeddings``: float ``[..., B, D]``; ``slices``: unit directions ``[D, M]``. Of N projections x with the empirical
    characteristic function ``c(t) = mean exp(i t x)``, the statistic is N times the integral of
    ``|c(t) - phi(t)|^2 phi(t)`` over ``[-reach, reach]``. Here ``phi(t) = exp(-t^2 / 2)`` is that of a standard
    Gaussian, and the weight as well. All is symmetric in t: the trapezoids between ``knots`` points on ``[0, reach]``
    count twice.
    """
    with full_precision(embeddings):
        x = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        t = torch.linspace(0, reach, knots, device=x.device, dtype=x.dtype)
        phi = (-t.square() / 2).exp()
        angles = (x @ slices.to(x.dtype)).unsqueeze(-1) * t  # [..., B, M, knots]
        # Over all ranks the characteristic function is a mean of means: B * M numbers stay where they are.
        real, imaginary = mean_over_ranks(torch.stack([angles.cos(), angles.sin()]).mean(dim=-3))
        distance = ((real - phi).square() + imaginary.square()) * phi
        integral = 2 * torch.trapezoid(distance, dx=reach / (knots - 1), dim=-1)
        return integral * (x.shape[-2] * ranks())


def unit_slices(dim: int, count: int, step: float | Tensor, device: torch.device) -> Tensor:
    """Random directions, uniform on the sphere, float32 ``[dim, count]``: others at every step, the same on every rank
    and device. No generator draws them, for that of each rank stands elsewhere: they are a hash of step and place."""
    places = torch.arange(2 * dim * count, device=device)
    whole = hashed(step.long()) if isinstance(step, Tensor) else hashed(int(step))
    uniform = (hashed(places + whole).float() + 0.5) / (WORD + 1)
    radius, turn = uniform.view(2, dim, count)
    gaussian = (-2 * radius.log()).sqrt() * (2 * math.pi * turn).cos()  # Box and Muller 1958
    return functional.normalize(gaussian, dim=0)


def hashed(number: Whole) -> Whole:
    """A number of 32 bits in which every bit of the given one counts: the finaliser of MurmurHash3, on integers or
    int64 tensors."""
    number = number & WORD
    number = ((number ^ (number >> 16)) * 0x85EBCA6B) & WORD
    number = ((number ^ (number >> 13)) * 0xC2B2AE35) & WORD
    return number ^ (number >> 16)
