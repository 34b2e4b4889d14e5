"""Pictures of masks: what of an image a model is given under masks drawn for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.nn import functional

from sslbench.contracts.evaluator import Picture
from sslbench.contracts.masking import Masking, MaskRequest, TargetMasking
from sslbench.draw.tiles import tile_rows
from sslbench.train.masks import draw_masks
from sslbench.train.randomness import Stream
from sslbench.train.shown_images import DRAWN, LabelledImages

GREY = 127
"""value of a masked patch"""
TARGETS = (MaskRequest(role="context"), MaskRequest(role="targets"))


@dataclass(frozen=True)
class ShownMasking:
    """A masking, and what it is asked for; without ``masks`` for a mask, or for context and targets if it has them."""

    name: str
    masking: Masking
    mask_grid: tuple[int, int]
    """rows and columns of patches"""
    ratio: float
    """share of the patches that are masked, in (0, 1)"""
    masks: tuple[MaskRequest, ...] = ()

    def draw(self, batch: int, generator: Generator) -> dict[str, Tensor]:
        """What is masked in each picture, bool ``[B, N]``, by what it shows: of one view, and one draw."""
        own = TARGETS if isinstance(self.masking, TargetMasking) else (MaskRequest(),)
        asked = self.masks or own
        requests = tuple(one for one in asked if one.view == asked[0].view)
        drawn = draw_masks(replace(self, masks=requests), self.masking, self.ratio, batch, generator)
        return {
            "mask" if one.role == "masked" else one.role: mask if one.role == "masked" else self.all_but(mask)
            for one, mask in zip(requests, drawn, strict=True)
        }

    def all_but(self, patches: Tensor) -> Tensor:
        """int64 ``[B, ...]`` -> bool ``[B, N]``, False for these patches."""
        rest = torch.ones(len(patches), self.mask_grid[0] * self.mask_grid[1], dtype=torch.bool)
        return rest.scatter(1, patches.flatten(1), False)


def masks_picture(images: LabelledImages, shown: ShownMasking, seed: int, name: str = "masks") -> Picture:
    """Each image, square, and beside it what a model sees of it under masks drawn for it. Raises whatever the masking
    raises."""
    generator = Stream(seed, "pictures").at(2)
    draws = [shown.draw(len(images.pixels), generator)]
    while (len(draws) + 1) * len(draws[0]) <= DRAWN:
        draws.append(shown.draw(len(images.pixels), generator))
    columns = [
        images.pixels,
        *(masked(images.pixels, mask, shown.mask_grid) for draw in draws for mask in draw.values()),
    ]
    sides = (images.pixels.shape[side - 2] / shown.mask_grid[side] for side in (0, 1))
    size = " x ".join(f"{side:g}" for side in sides)
    parts = {title: counted(torch.cat([draw[title] for draw in draws]), f"patches of {size} px") for title in draws[0]}
    counts = parts.get("mask") or "; ".join(f"{title}: {part}" for title, part in parts.items())
    caption = (
        f"Each row is an image as the model is given it, and {len(draws)} masks drawn for it by masking {shown.name}:"
        f" {counts}."
    )
    headings = ["image", *(title for draw in draws for title in draw)]
    return Picture(name, tile_rows(images.rows(columns), headings), images.captioned(caption))


def counted(masks: Tensor, patches: str) -> str:
    """How many patches are masked, in words; ``masks``: bool ``[B, N]``."""
    counts, total = masks.sum(dim=1), masks.shape[1]
    some = counts[counts > 0]
    low, high = (int(some.min()), int(some.max())) if len(some) else (0, 0)
    if low == high and len(some) == len(counts):
        share = f"{100 * (total - low) / total:.0f}%"
        return f"{low} of {total} {patches} are masked (grey), {total - low} are visible ({share})"
    none = ", or none," if len(some) < len(counts) else ""
    return f"{low} to {high} of {total} {patches}{none} are masked (grey)"


def masked(images: Tensor, mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """uint8 ``[B, 3, H, W]`` with the masked patches grey; ``mask``: bool ``[B, rows * cols]``, True = masked."""
    whole = functional.interpolate(mask.view(-1, 1, *grid).float(), images.shape[-2:]).bool()
    return images.masked_fill(whole, GREY)
