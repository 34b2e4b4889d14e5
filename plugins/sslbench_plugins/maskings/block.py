"""One contiguous rectangle of patches, anywhere in the image."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import torch
from torch import Generator, Tensor

from sslbench import MaskingParams, MaskingSpec, hidden_count, hookimpl

ASPECT = 2.0
"""Longest side over shortest, where a rectangle of the wanted area fits with it."""


@lru_cache
def shapes(rows: int, cols: int, hidden: int) -> tuple[tuple[int, int, bool], ...]:
    """Rectangles that hold ``hidden`` patches once one edge is trimmed: (height, width, whether a column is trimmed).

    Those with an aspect of at most 2, or of the smallest there is where none has that, and of these the ones with
    the least to trim.
    """
    tall = [(height, ceil(hidden / height), True) for height in range(1, rows + 1)]
    wide = [(ceil(hidden / width), width, False) for width in range(1, cols + 1)]
    fitting = [(h, w, column) for h, w, column in tall + wide if h <= rows and w <= cols]

    def aspect(shape: tuple[int, int, bool]) -> float:
        return max(shape[0] / shape[1], shape[1] / shape[0])

    bound = max(ASPECT, min(map(aspect, fitting)))
    near = [shape for shape in fitting if aspect(shape) <= bound]
    least = min(h * w for h, w, _ in near)
    return tuple(shape for shape in near if shape[0] * shape[1] == least)


@lru_cache
def table(rows: int, cols: int, hidden: int, device: torch.device) -> Tensor:
    """``shapes`` as int64 ``[shapes, 3]``; kept on the device, since copying it there waits for the device."""
    return torch.tensor([[h, w, int(column)] for h, w, column in shapes(rows, cols, hidden)], device=device)


class BlockMasking:
    """Per sample one of ``shapes``, at a uniform position, trimmed at a random end of a random one of two edges."""

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        rows, cols = grid
        device = generator.device
        hidden = hidden_count(rows * cols, ratio)
        known = table(rows, cols, hidden, device)
        u = torch.rand(5, batch, 1, 1, generator=generator, device=device)
        chosen = known[(u[0] * len(known)).long().clamp_(max=len(known) - 1)]
        height, width, column = chosen.unbind(-1)
        top = torch.minimum((u[1] * (rows - height + 1)).long(), rows - height)
        left = torch.minimum((u[2] * (cols - width + 1)).long(), cols - width)
        row = torch.arange(rows, device=device).view(1, rows, 1) - top
        col = torch.arange(cols, device=device).view(1, 1, cols) - left
        inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        # Count from the end that is trimmed: the last line across, and the last cells along it.
        row = torch.where(u[3] < 0.5, row, height - 1 - row)
        col = torch.where(u[4] < 0.5, col, width - 1 - col)
        excess = height * width - hidden
        trimmed = torch.where(
            column.bool(),
            (col == width - 1) & (row >= height - excess),
            (row == height - 1) & (col >= width - excess),
        )
        return (inside & ~trimmed).flatten(1)


def build(params: MaskingParams) -> BlockMasking:
    return BlockMasking()


@hookimpl
def sslbench_maskings() -> list[MaskingSpec]:
    return [
        MaskingSpec(
            name="block",
            summary=__doc__.partition("\n")[0],
            build=build,
            citation="after the block-wise masking of Bao et al.: BEiT, ICLR 2022, algorithm 1, with a single block",
        )
    ]
