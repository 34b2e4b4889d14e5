"""Random masking: each patch, or each square of patches, is as likely to be masked as any other."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from sslbench import BuildContext, MaskingParams, MaskingSpec, UserError, hookimpl, masked_count, param


class RandomMaskingParams(MaskingParams):
    """The ratio, and how large the pieces are that are masked."""

    unit: int = param(
        1, "side of the squares of patches that are masked together; squares are cut at the grid's edge", ge=1
    )


class RandomMasking:
    """MAE's ``random_masking``: noise for every patch, and those with the smallest noise stay visible. With a ``unit``
    above 1 it is noise for every square of ``unit`` x ``unit`` patches (SimMIM); where whole squares are more than the
    ratio masks, some patches of one of them stay visible."""

    def __init__(self, unit: int = 1) -> None:
        self.unit = unit

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        """bool ``[batch, rows * cols]``, True = masked. Raises UserError where the grid is a single unit."""
        patches = grid[0] * grid[1]
        masked = masked_count(patches, ratio)
        noise = torch.rand(batch, patches, generator=generator, device=generator.device)
        if self.unit > 1:
            # Patches in the random order of their squares, and in a random order within each.
            noise = noise / 2 + self._places(batch, grid, generator)
        order = noise.argsort(dim=1)
        mask = torch.zeros(batch, patches, dtype=torch.bool, device=generator.device)
        return mask.scatter_(1, order[:, patches - masked :], True)

    def _places(self, batch: int, grid: tuple[int, int], generator: Generator) -> Tensor:
        """int64 ``[batch, rows * cols]``: the place of each patch's square in a random order of the squares."""
        down, across = (-(-side // self.unit) for side in grid)
        if down * across == 1:
            raise UserError(
                f"masking 'random': unit = {self.unit} makes one square of the grid of {grid[0]} x {grid[1]} patches;"
                f" allowed: 1 to {max(1, max(grid) - 1)}"
            )
        device = generator.device
        places = torch.rand(batch, down * across, generator=generator, device=device).argsort(dim=1)
        row, col = (torch.arange(side, device=device) // self.unit for side in grid)
        return places[:, (row[:, None] * across + col).flatten()]


def build(params: RandomMaskingParams, context: BuildContext) -> RandomMasking:
    """Random masks of patches or of squares of them."""
    return RandomMasking(params.unit)


@hookimpl
def sslbench_maskings() -> list[MaskingSpec]:
    return [
        MaskingSpec(
            name="random",
            params=RandomMaskingParams,
            build=build,
            citation="He et al.: Masked Autoencoders Are Scalable Vision Learners, CVPR 2022, section 3; unit: Xie et"
            " al.: SimMIM, CVPR 2022, section 3.2",
        )
    ]
