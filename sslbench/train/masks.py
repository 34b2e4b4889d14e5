"""The masks that a method asks for, drawn from a masking for a whole batch."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Protocol

import torch
from torch import Generator, Tensor

from sslbench.contracts.masking import Masking, MaskRequest, TargetMasking, masked_count
from sslbench.errors import PluginError

MOST_RATIOS = 16
"""that a spread is served in: a masking is asked once for each"""


class AsksForMasks(Protocol):
    """A method, as far as its masks go."""

    @property
    def masks(self) -> tuple[MaskRequest, ...]:
        """What it asks for."""

    @property
    def mask_grid(self) -> tuple[int, int] | None:
        """Rows and columns of patches."""


def draw_masks(
    method: AsksForMasks, masking: Masking | None, ratio: float | None, batch: int, generator: Generator
) -> list[Tensor]:
    """A tensor for each mask that the method asks for, as ``MaskRequest`` says, on the generator's device; nothing
    waits for the device. None for a method that masks nothing. ``masking`` None: random patches."""
    grid = method.mask_grid
    if grid is None or ratio is None:
        return []
    masking = masking or RandomPatches()
    drawn: dict[int, tuple[Tensor, Tensor]] = {}
    masks = []
    for request in method.masks:
        if request.role == "masked":
            masks.append(masked_images(masking, request, batch, grid, ratio, generator))
            continue
        if request.view not in drawn:
            drawn[request.view] = context_and_targets(masking, batch, grid, ratio, generator)
        masks.append(drawn[request.view][request.role == "targets"])
    return masks


def masked_images(
    masking: Masking, request: MaskRequest, batch: int, grid: tuple[int, int], ratio: float, generator: Generator
) -> Tensor:
    """bool ``[batch, N]``, True = masked; which images get which ratio, or no mask, is random."""
    if not request.spread and request.share == 1:
        return masking.sample(batch, grid, ratio, generator)
    counts = ratios_of(request, batch, grid[0] * grid[1], ratio)
    parts = [masking.sample(count, grid, each, generator) for each, count in counts.items()]
    empty = batch - sum(counts.values())
    device = generator.device
    masks = torch.cat([*parts, torch.zeros(empty, grid[0] * grid[1], dtype=torch.bool, device=device)])
    return masks[torch.rand(batch, generator=generator, device=device).argsort()]


def most_masked(method: AsksForMasks, ratio: float | None, batch: int, images: int) -> int | None:
    """The most patches that masks of a batch mask in ``images`` of it, whichever these are, all requests together; of
    the whole batch exactly as many. None for a method that masks nothing."""
    grid = method.mask_grid
    if grid is None or ratio is None:
        return None
    most, patches = 0, grid[0] * grid[1]
    for request in method.masks:
        left = images if request.role == "masked" else 0
        for each, count in sorted(ratios_of(request, batch, patches, ratio).items(), reverse=True):
            most += min(left, count) * masked_count(patches, each)
            left -= min(left, count)
    return most


@cache
def ratios_of(request: MaskRequest, batch: int, patches: int, ratio: float) -> Counter[float]:
    """How many images of a batch are masked at each ratio. At least one is masked, and in each something is visible."""
    images = max(1, round(batch * request.share))
    levels = min(images, MOST_RATIOS) if request.spread else 1
    spread = max(0.0, min(request.spread, ratio - 1 / patches, (patches - 1) / patches - ratio))
    middles = [ratio + spread * ((2 * level + 1) / levels - 1) for level in range(levels)]
    return Counter(middles[image * levels // images] for image in range(images))


def context_and_targets(
    masking: Masking, batch: int, grid: tuple[int, int], ratio: float, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Context, int64 ``[batch, n]``, and targets, int64 ``[batch, K, M]``. Raises PluginError for a masking whose rows
    have other counts than it promises."""
    patches = grid[0] * grid[1]
    visible = patches - masked_count(patches, ratio)
    if isinstance(masking, TargetMasking):
        context, targets = masking.sample_targets(batch, grid, ratio, generator)
        if context.shape != (batch, visible) or targets.ndim != 3:
            shapes = f"{list(context.shape)} and {list(targets.shape)}"
            raise PluginError(f"sample_targets returned {shapes}; allowed: [{batch}, {visible}] and [{batch}, K, M]")
        return context, targets
    order = masking.sample(batch, grid, ratio, generator).to(torch.uint8).argsort(dim=1, stable=True)
    return order[:, :visible], order[:, None, visible:]


class RandomPatches:
    """Masks any patches: for a step that is only counted or tried."""

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        """bool ``[batch, rows * cols]``, True = masked."""
        patches = grid[0] * grid[1]
        noise = torch.rand(batch, patches, generator=generator, device=generator.device)
        return noise.argsort(dim=1).argsort(dim=1) < masked_count(patches, ratio)
