"""Multi-block masking: several target blocks to predict from one large context block without them (I-JEPA)."""

from __future__ import annotations

from math import sqrt
from random import Random

import torch
from torch import Generator, Tensor

from sslbench import BuildContext, MaskingParams, MaskingSpec, UserError, hookimpl, masked_count, param


class MultiBlockParams(MaskingParams):
    """Defaults: Assran et al. 2023, section 3 and appendix A.1. Scales are shares of the patches."""

    ratio: float = param(0.75, "share of the patches that the context does not have", gt=0, lt=1)
    targets: int = param(4, "target blocks of an image; they may overlap", ge=1)
    target_scale_min: float = param(0.15, "smallest target", gt=0, le=1)
    target_scale_max: float = param(0.2, "largest target", gt=0, le=1)
    target_aspect_min: float = param(0.75, "smallest height of a target over its width", gt=0)
    target_aspect_max: float = param(1.5, "largest height of a target over its width", gt=0)
    context_scale_min: float = param(0.85, "smallest context block, before targets are taken out", gt=0, le=1)
    context_scale_max: float = param(1.0, "largest context block, before targets are taken out", gt=0, le=1)


class MultiBlockMasking:
    """Blocks have one size for a batch and a place for each image. The context is what the context block has beside
    the targets, and of that random patches, as many in every image; the authors cut all contexts of a batch to the
    smallest. Where an image's targets leave too few, the last ones move onto the first; where even one does, the
    context has patches around its block as well."""

    def __init__(self, params: MultiBlockParams) -> None:
        self.params = params

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        """bool ``[batch, rows * cols]``, True = masked: not in the context."""
        context, _ = self.sample_targets(batch, grid, ratio, generator)
        mask = torch.ones(batch, grid[0] * grid[1], dtype=torch.bool, device=generator.device)
        return mask.scatter_(1, context, False)

    def sample_targets(
        self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """The context, int64 ``[batch, n]``, and the targets, int64 ``[batch, K, height * width]``; ascending."""
        patches, count = grid[0] * grid[1], self.params.targets
        masked = masked_count(patches, ratio)
        # Sizes are shapes, which the host must know without asking the device: they are of the seed alone.
        target, context = self.sizes(grid, masked, Random(generator.initial_seed()))
        targets = placed(target, grid, batch * count, generator).view(batch, count, -1)
        in_block = torch.zeros(batch, patches, dtype=torch.bool, device=generator.device)
        in_block.scatter_(1, placed(context, grid, batch, generator), True)
        in_target = torch.zeros(batch, count, patches, dtype=torch.bool, device=generator.device)
        covered = in_target.scatter_(2, targets, True).cumsum(dim=1) > 0
        left = (in_block.unsqueeze(1) & ~covered).sum(dim=2)
        kept = (left >= patches - masked).sum(dim=1, keepdim=True).clamp_(min=1)
        moved = torch.arange(count, device=generator.device) >= kept
        targets = torch.where(moved.unsqueeze(2), targets[:, :1], targets)
        covered = covered.gather(1, (kept - 1).unsqueeze(2).expand(-1, -1, patches)).squeeze(1)
        # What is in a target comes last, what is around the context block after what is in it.
        noise = torch.rand(batch, patches, generator=generator, device=generator.device)
        order = (noise + 2 * ~in_block + 4 * covered).argsort(dim=1)
        return order[:, : patches - masked].sort(dim=1).values, targets

    def sizes(self, grid: tuple[int, int], masked: int, random: Random) -> tuple[tuple[int, int], tuple[int, int]]:
        """Height and width of a target, which has at most ``masked`` patches, and of the context block."""
        (rows, cols), p = grid, self.params
        area = rows * cols * random.uniform(p.target_scale_min, p.target_scale_max)
        aspect = random.uniform(p.target_aspect_min, p.target_aspect_max)
        height = min(max(1, round(sqrt(area * aspect))), rows)
        width = min(max(1, round(area / height)), cols)
        while height * width > masked:
            height, width = (height - 1, width) if height >= width else (height, width - 1)
        side = sqrt(random.uniform(p.context_scale_min, p.context_scale_max))
        return (height, width), (max(1, round(rows * side)), max(1, round(cols * side)))


def placed(size: tuple[int, int], grid: tuple[int, int], count: int, generator: Generator) -> Tensor:
    """int64 ``[count, height * width]``: the patches of a block at ``count`` random places, ascending."""
    (height, width), (rows, cols), device = size, grid, generator.device
    u = torch.rand(2, count, 1, generator=generator, device=device)
    top = (u[0] * (rows - height + 1)).long().clamp_(max=rows - height)
    left = (u[1] * (cols - width + 1)).long().clamp_(max=cols - width)
    row, col = (torch.arange(side, device=device) for side in size)
    return top * cols + left + (row[:, None] * cols + col).flatten()


def build(params: MultiBlockParams, context: BuildContext) -> MultiBlockMasking:
    """Raises UserError for a range whose smallest value is above its largest."""
    for name in ("target_scale", "target_aspect", "context_scale"):
        least, most = (getattr(params, f"{name}_{end}") for end in ("min", "max"))
        if least > most:
            raise UserError(
                f"masking 'multi-block': {name}_min = {least:g} is above {name}_max; allowed: at most {most:g}"
            )
    return MultiBlockMasking(params)


@hookimpl
def sslbench_maskings() -> list[MaskingSpec]:
    return [
        MaskingSpec(
            name="multi-block",
            params=MultiBlockParams,
            build=build,
            citation="Assran et al.: Self-Supervised Learning from Images with a Joint-Embedding Predictive"
            " Architecture, CVPR 2023, section 3 and appendix A.1",
        )
    ]
