"""One contiguous rectangle of patches, anywhere in the image."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import torch
from torch import Generator, Tensor

from sslbench import BuildContext, MaskingParams, MaskingSpec, hookimpl, masked_count

ASPECT = 2.0
"""Longest side over shortest, where a rectangle of the wanted area fits with it."""


@lru_cache
def shapes(rows: int, cols: int, hidden: int) -> tuple[tuple[int, int, bool], ...]:
    """Rectangles nearest to ``hidden`` patches, with the rest of the count along one edge.

    Each as the box around it: (height, width, whether its last column is the incomplete one, else its last row).
    An edge less than half full extends the rectangle beside it, a fuller one is trimmed. The rectangle's aspect is
    at most 2, or the smallest there is where no rectangle with that fits.
    """
    tall = [(height, ceil(hidden / height), True) for height in range(1, rows + 1)]
    wide = [(ceil(hidden / width), width, False) for width in range(1, cols + 1)]
    fitting = [(h, w, column) for h, w, column in tall + wide if h <= rows and w <= cols]

    def missing(shape: tuple[int, int, bool]) -> int:
        return shape[0] * shape[1] - hidden

    def extends(shape: tuple[int, int, bool]) -> bool:
        height, width, column = shape
        return 2 * missing(shape) > (height if column else width) and (width if column else height) > 1

    def distance(shape: tuple[int, int, bool]) -> int:
        edge = shape[0] if shape[2] else shape[1]
        return edge - missing(shape) if extends(shape) else missing(shape)

    def aspect(shape: tuple[int, int, bool]) -> float:
        height, width, column = shape
        if extends(shape):
            height, width = (height, width - 1) if column else (height - 1, width)
        return max(height / width, width / height)

    bound = max(ASPECT, min(map(aspect, fitting)))
    near = [shape for shape in fitting if aspect(shape) <= bound]
    least = min(map(distance, near))
    return tuple(shape for shape in near if distance(shape) == least)


@lru_cache
def table(rows: int, cols: int, hidden: int, device: torch.device) -> Tensor:
    """``shapes`` as int64 ``[shapes, 3]``; kept on the device, since copying it there waits for the device."""
    return torch.tensor([[h, w, int(column)] for h, w, column in shapes(rows, cols, hidden)], device=device)


class BlockMasking:
    """Per sample one of ``shapes``, at a uniform position; the incomplete edge is on a random side, filled from a
    random end."""

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        rows, cols = grid
        device = generator.device
        hidden = masked_count(rows * cols, ratio)
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


def build(params: MaskingParams, context: BuildContext) -> BlockMasking:
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
