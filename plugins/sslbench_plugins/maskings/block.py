"""Block masking: one contiguous rectangle of masked patches, anywhere in the image."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from sslbench import MaskingSpec, hookimpl, masked_count

ASPECT = 2.0
"""Longest side over shortest, where a rectangle of the wanted area fits with it."""


class BlockMasking:
    """Per sample one of ``boxes``, at a uniform position; the incomplete edge is on a random side, filled from a
    random end."""

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        """bool ``[batch, rows * cols]``, True = masked."""
        rows, cols = grid
        device = generator.device
        masked = masked_count(rows * cols, ratio)
        table = table_of(rows, cols, masked, device)
        u = torch.rand(5, batch, 1, 1, generator=generator, device=device)
        chosen = table[(u[0] * len(table)).long().clamp_(max=len(table) - 1)]
        height, width, column = chosen.unbind(-1)
        top = torch.minimum((u[1] * (rows - height + 1)).long(), rows - height)
        left = torch.minimum((u[2] * (cols - width + 1)).long(), cols - width)
        row = torch.arange(rows, device=device).view(1, rows, 1) - top
        col = torch.arange(cols, device=device).view(1, 1, cols) - left
        inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        # Count from the end that is trimmed: the last line across, and the last patches along it.
        row = torch.where(u[3] < 0.5, row, height - 1 - row)
        col = torch.where(u[4] < 0.5, col, width - 1 - col)
        excess = height * width - masked
        trimmed = torch.where(
            column.bool(),
            (col == width - 1) & (row >= height - excess),
            (row == height - 1) & (col >= width - excess),
        )
        return (inside & ~trimmed).flatten(1)


class Box(NamedTuple):
    """The bounding box of ``masked`` patches in a rectangle with one incomplete edge."""

    height: int
    width: int
    last_column: bool
    """whether the incomplete edge is a column, else a row"""

    def empty(self, masked: int) -> int:
        """Patches of the box that are not masked, all of them in the incomplete edge."""
        return self.height * self.width - masked

    def extends(self, masked: int) -> bool:
        """Whether the edge is less than half full: it extends the rectangle beside it; a fuller one is trimmed."""
        edge, beside = (self.height, self.width) if self.last_column else (self.width, self.height)
        return 2 * self.empty(masked) > edge and beside > 1

    def distance(self, masked: int) -> int:
        """Patches by which the masked ones differ from a whole rectangle."""
        edge = self.height if self.last_column else self.width
        return edge - self.empty(masked) if self.extends(masked) else self.empty(masked)

    def aspect(self, masked: int) -> float:
        """Longest side over shortest of the rectangle without the edge that extends it."""
        height, width = self.height, self.width
        if self.extends(masked):
            height, width = (height, width - 1) if self.last_column else (height - 1, width)
        return max(height / width, width / height)


@lru_cache
def boxes(rows: int, cols: int, masked: int) -> tuple[Box, ...]:
    """The boxes of the rectangles nearest to ``masked`` patches, whose aspect is at most 2, or the smallest there is
    where no rectangle with that fits."""
    tall = [Box(height, ceil(masked / height), True) for height in range(1, rows + 1)]
    wide = [Box(ceil(masked / width), width, False) for width in range(1, cols + 1)]
    fitting = [box for box in tall + wide if box.height <= rows and box.width <= cols]
    bound = max(ASPECT, min(box.aspect(masked) for box in fitting))
    allowed = [box for box in fitting if box.aspect(masked) <= bound]
    least = min(box.distance(masked) for box in allowed)
    return tuple(box for box in allowed if box.distance(masked) == least)


@lru_cache
def table_of(rows: int, cols: int, masked: int, device: torch.device) -> Tensor:
    """``boxes`` as int64 ``[boxes, 3]``; kept on the device, since copying it there waits for the device."""
    return torch.tensor([[*map(int, box)] for box in boxes(rows, cols, masked)], device=device)


@hookimpl
def sslbench_maskings() -> list[MaskingSpec]:
    return [
        MaskingSpec(
            name="block",
            build=lambda params, context: BlockMasking(),
            citation="after the block-wise masking of Bao et al.: BEiT, ICLR 2022, algorithm 1, with a single block",
        )
    ]
