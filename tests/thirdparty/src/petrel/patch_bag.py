"""Patch bag: patches that never see each other, each through a small network, then their mean."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sslbench import BackboneSpec, BuildContext, Params, TokenBackbone, UserError, hookimpl, param


class PatchBagParams(Params):
    patch: int = param(4, "side of a patch", ge=1, unit="pixels")
    width: int = param(32, "length of a token and of the features", ge=2)
    depth: int = param(2, "blocks", ge=1)


class PatchBag(TokenBackbone):
    """After Brendel and Bethge 2019, Approximating CNNs with bag-of-local-features models."""

    prefix_tokens = 0

    def __init__(self, params: PatchBagParams, image_size: int) -> None:
        super().__init__()
        if image_size % params.patch:
            raise UserError(f"backbone 'patch-bag': patch = {params.patch} does not divide {image_size} pixels")
        self.patch_size, self.token_dim, self.feature_dim = params.patch, params.width, params.width
        self.grid = (image_size // params.patch,) * 2
        self.patches = nn.Conv2d(3, params.width, params.patch, stride=params.patch)
        self.places = nn.Parameter(0.02 * torch.randn(self.grid[0] * self.grid[1], params.width))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(params.width), nn.Linear(params.width, params.width), nn.GELU())
            for _ in range(params.depth)
        )
        self.norm = nn.LayerNorm(params.width)

    def positions(self, grid: tuple[int, int]) -> Tensor:
        if grid == self.grid:
            return self.places
        places = self.places.T.reshape(1, self.token_dim, *self.grid)
        return interpolate(places, grid, mode="bicubic").flatten(2)[0].T

    def embed(self, images: Tensor) -> Tensor:
        return self.patches(images).flatten(2).transpose(1, 2) + self.places

    def encode(self, tokens: Tensor, *, patches: Tensor | None = None, blocks: int = 1) -> Tensor:
        if not 1 <= blocks <= len(self.blocks):
            raise UserError(f"backbone 'patch-bag' has {len(self.blocks)} blocks, not {blocks}")
        outputs = []
        for block in self.blocks:
            tokens = tokens + block(tokens)
            outputs.append(tokens)
        return torch.cat([self.norm(output) for output in outputs[-blocks:]], dim=2)

    def pool(self, encoded: Tensor) -> Tensor:
        return encoded.mean(dim=1)


def build(params: PatchBagParams, context: BuildContext) -> PatchBag:
    return PatchBag(params, context.image_size)


@hookimpl
def sslbench_backbones():
    return [
        BackboneSpec(name="patch-bag", params=PatchBagParams, build=build, provides=frozenset({"encoder", "tokens"}))
    ]
