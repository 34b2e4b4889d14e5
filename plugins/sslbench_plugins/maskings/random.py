"""Random masking: each patch is as likely to be masked as any other."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from sslbench import MaskingSpec, hookimpl, masked_count


class RandomMasking:
    """MAE's ``random_masking``: noise for every patch, and those with the smallest noise stay visible."""

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        """bool ``[batch, rows * cols]``, True = masked."""
        patches = grid[0] * grid[1]
        masked = masked_count(patches, ratio)
        noise = torch.rand(batch, patches, generator=generator, device=generator.device)
        order = noise.argsort(dim=1)
        mask = torch.zeros(batch, patches, dtype=torch.bool, device=generator.device)
        return mask.scatter_(1, order[:, patches - masked :], True)


@hookimpl
def sslbench_maskings() -> list[MaskingSpec]:
    return [
        MaskingSpec(
            name="random",
            build=lambda params, context: RandomMasking(),
            citation="He et al.: Masked Autoencoders Are Scalable Vision Learners, CVPR 2022, section 3",
        )
    ]
