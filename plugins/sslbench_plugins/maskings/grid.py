"""Visible patches on a regular lattice, all others hidden."""

from __future__ import annotations

from functools import lru_cache
from math import log

import torch
from torch import Generator, Tensor

from sslbench import BuildContext, MaskingParams, MaskingSpec, hookimpl, masked_count


@lru_cache
def lattice(rows: int, cols: int, visible: int) -> tuple[int, int]:
    """How many rows and columns are visible, so that their crossings are nearest to ``visible`` in number.

    Spacing down and across differs by a factor of 2 at most, where such a lattice exists; ties go to the squarer one.
    """
    sizes = [(r, c) for r in range(1, rows + 1) for c in range(1, cols + 1)]

    def stretch(size: tuple[int, int]) -> float:
        return abs(log(rows / size[0]) - log(cols / size[1]))

    bound = max(log(2) + 1e-9, min(map(stretch, sizes)))
    near = [size for size in sizes if stretch(size) <= bound]
    return min(near, key=lambda size: (abs(size[0] * size[1] - visible), stretch(size), size))


class GridMasking:
    """Evenly spaced rows and columns, shifted by a random offset per sample (around the edge); where their
    crossings are too many or too few, an evenly spaced part of the patches is hidden or shown as well."""

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        rows, cols = grid
        patches = rows * cols
        visible = patches - masked_count(patches, ratio)
        across, along = lattice(rows, cols, visible)
        u = torch.rand(3, batch, 1, generator=generator, device=generator.device)
        shown = (lines(rows, across, u[0]).unsqueeze(2) & lines(cols, along, u[1]).unsqueeze(1)).flatten(1)
        wrong = across * along - visible
        if wrong > 0:
            shown = shown & ~evenly(shown, across * along, wrong, u[2])
        elif wrong < 0:
            shown = shown | evenly(~shown, patches - across * along, -wrong, u[2])
        return ~shown


def lines(length: int, count: int, u: Tensor) -> Tensor:
    """bool ``[B, length]``: ``count`` evenly spaced places, shifted by ``u`` (``[B, 1]`` in 0..1) of the length."""
    place = torch.arange(length, device=u.device)
    regular = (place + 1) * count // length > place * count // length
    shift = (u * length).long().clamp_(max=length - 1)
    return regular[(place + shift) % length]


def evenly(among: Tensor, size: int, count: int, u: Tensor) -> Tensor:
    """bool ``[B, N]``: ``count`` of the ``size`` True places of each row of ``among``, evenly spaced in their order."""
    rank = among.long().cumsum(dim=1) - 1
    start = (u * size).long().clamp_(max=size - 1)
    return among & (((rank + 1) * count + start) // size > (rank * count + start) // size)


def build(params: MaskingParams, context: BuildContext) -> GridMasking:
    return GridMasking()


@hookimpl
def sslbench_maskings() -> list[MaskingSpec]:
    return [
        MaskingSpec(
            name="grid",
            summary=__doc__.partition("\n")[0],
            build=build,
            citation="after the grid-wise sampling of He et al.: Masked Autoencoders, CVPR 2022, figure 6",
        )
    ]
