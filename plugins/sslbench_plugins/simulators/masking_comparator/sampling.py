"""Masks drawn from a registered masking. One that fails has a reason and spoils no other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sslbench import Masking, UserError, masked_count
from sslbench_plugins.simulators.masking_comparator.coverage import Grid


@dataclass(frozen=True)
class Sample:
    """Masks of one strategy at one ratio."""

    masked: NDArray[np.bool_] | None
    """bool ``[draws, rows * cols]``, True where masked; None where there are no masks to measure"""
    reason: str = ""
    """why there are none"""


def visible_count(patches: int, ratio: float) -> int:
    """``int(patches * (1 - ratio))``, not misled by binary rounding."""
    return int(patches * (1 - ratio) + 1e-9)


@dataclass(frozen=True)
class Sampler:
    """Draws masks on one grid."""

    grid: Grid
    draws: int

    def sample(self, name: str, masking: Masking, ratio: float, seed: int) -> Sample:
        """Masks from a generator seeded anew; or why there are none."""
        patches = self.grid[0] * self.grid[1]
        try:
            wanted = masked_count(patches, ratio)
        except UserError:
            return Sample(None, f"{visible_count(patches, ratio)} of {patches} patches visible: nothing to measure")
        try:
            generator = torch.Generator().manual_seed(seed)
            masked = masking.sample(self.draws, self.grid, ratio, generator).numpy()
        except Exception as error:
            line = str(error).partition("\n")[0]
            return Sample(None, f"masking {name!r} raised {type(error).__name__}: {line}")
        if masked.shape != (self.draws, patches) or (masked.sum(axis=1) != wanted).any():
            counts = ", ".join(map(str, sorted(set(masked.sum(axis=-1).ravel().tolist()))[:5]))
            return Sample(None, f"masking {name!r} masks {counts} of {patches} patches, not {wanted} in every mask")
        return Sample(masked)
