"""Erasing: one random rectangle of each view is filled with noise."""

import torch
from torch import Tensor

from sslbench import AugmentationSpec, BuildContext, Params, centre_view, hookimpl, param


class ErasingParams(Params):
    area: float = param(0.2, "largest share of the view that is erased", gt=0, lt=1)


class Erasing:
    """Zhong et al. 2020, Random erasing data augmentation."""

    def __init__(self, params):
        self.side = params.area**0.5

    def view(self, index, kind, size):
        def transform(images: Tensor, generator: torch.Generator) -> Tensor:
            views = centre_view(images, size)
            device = views.device
            sides, starts = torch.rand(2, len(views), 2, 1, generator=generator, device=device)
            sides = self.side * sides
            starts = starts * (1 - sides)
            where = (torch.arange(size, device=device) + 0.5) / size
            inside = (where >= starts) & (where < starts + sides)  # [B, 2, size]
            erased = inside[:, 0, :, None] & inside[:, 1, None, :]
            noise = torch.empty_like(views).uniform_(generator=generator)
            return torch.where(erased[:, None], noise, views)

        return transform


@hookimpl
def sslbench_augmentations():
    def build(params: ErasingParams, context: BuildContext) -> Erasing:
        return Erasing(params)

    return [AugmentationSpec(name="erasing", params=ErasingParams, build=build)]
