"""Grid masking: visible patches on a regular lattice, all others masked."""

from __future__ import annotations

from functools import lru_cache
from math import log

import torch
from torch import Generator, Tensor

from sslbench import MaskingSpec, hookimpl, masked_count


class GridMasking:
    """Evenly spaced rows and columns are visible where they cross, shifted by a random offset per sample (around the
    edge). Where crossings are too many or too few, an evenly spaced part of the patches is masked or shown as well."""

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        """bool ``[batch, rows * cols]``, True = masked."""
        rows, cols = grid
        patches = rows * cols
        wanted = patches - masked_count(patches, ratio)
        visible_rows, visible_cols = lattice(rows, cols, wanted)
        crossings = visible_rows * visible_cols
        u = torch.rand(3, batch, 1, generator=generator, device=generator.device)
        down, across = lines(rows, visible_rows, u[0]), lines(cols, visible_cols, u[1])
        visible = (down.unsqueeze(2) & across.unsqueeze(1)).flatten(1)
        if crossings > wanted:
            visible = visible & ~evenly(visible, crossings, crossings - wanted, u[2])
        elif crossings < wanted:
            visible = visible | evenly(~visible, patches - crossings, wanted - crossings, u[2])
        return ~visible


@lru_cache
def lattice(rows: int, cols: int, visible: int) -> tuple[int, int]:
    """How many rows and columns are visible, so that their crossings are nearest to ``visible`` in number.

    Spacing down and across differs by a factor of 2 at most, where such a lattice exists; ties go to the squarer one.
    """
    sizes = [(r, c) for r in range(1, rows + 1) for c in range(1, cols + 1)]

    def stretch(size: tuple[int, int]) -> float:
        return abs(log(rows / size[0]) - log(cols / size[1]))

    bound = max(log(2) + 1e-9, min(map(stretch, sizes)))
    allowed = [size for size in sizes if stretch(size) <= bound]
    return min(allowed, key=lambda size: (abs(size[0] * size[1] - visible), stretch(size), size))


def lines(length: int, count: int, u: Tensor) -> Tensor:
    """bool ``[B, length]``: ``count`` evenly spaced indices, shifted by ``u`` (``[B, 1]`` in 0..1) of the length."""
    index = torch.arange(length, device=u.device)
    regular = (index + 1) * count // length > index * count // length
    shift = (u * length).long().clamp_(max=length - 1)
    return regular[(index + shift) % length]


def evenly(among: Tensor, size: int, count: int, u: Tensor) -> Tensor:
    """bool ``[B, N]``: ``count`` of the ``size`` True entries of each row of ``among``, evenly spaced in their order;
    ``u``, ``[B, 1]`` in 0..1, shifts them."""
    rank = among.long().cumsum(dim=1) - 1
    start = (u * size).long().clamp_(max=size - 1)
    return among & (((rank + 1) * count + start) // size > (rank * count + start) // size)


@hookimpl
def sslbench_maskings() -> list[MaskingSpec]:
    return [
        MaskingSpec(
            name="grid",
            build=lambda params, context: GridMasking(),
            citation="after the grid-wise sampling of He et al.: Masked Autoencoders, CVPR 2022, figure 6",
        )
    ]
