"""Band: patches in a row, from a random one on, are masked."""

import torch

from sslbench import BuildContext, MaskingParams, MaskingSpec, hookimpl, masked_count


class Band:
    def sample(self, batch, grid, ratio, generator):
        patches = grid[0] * grid[1]
        first = torch.randint(patches, (batch, 1), generator=generator, device=generator.device)
        places = (torch.arange(patches, device=generator.device) - first) % patches
        return places < masked_count(patches, ratio)


def build(params: MaskingParams, context: BuildContext) -> Band:
    return Band()


@hookimpl
def sslbench_maskings():
    return [MaskingSpec(name="band", build=build)]
