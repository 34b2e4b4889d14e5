"""Vision transformer for small images: ViT-Tiny's width, small patches, fixed positions."""

from __future__ import annotations

import re
from typing import Literal, cast

import torch
from torch import Tensor, nn

from sslbench import BackboneSpec, Params, TimmModel, TokenBackbone, UserError, hookimpl, param
from sslbench_plugins.blocks.networks.patches import to_patches
from sslbench_plugins.blocks.networks.transformer import (
    TransformerBlock,
    depth_rates,
    init_transformer,
    last_blocks,
    resized,
    sincos_positions,
)

TIMM_NAMES = {
    r"^class_token$": "cls_token",
    r"^patch_embed\.": "patch_embed.proj.",
    r"^(blocks\.\d+)\.(qkv|proj)\.": r"\1.attn.\2.",
    r"\.mlp\.0\.": ".mlp.fc1.",
    r"\.mlp\.2\.": ".mlp.fc2.",
}
"""a weight's name here -> in timm"""


class ViTParams(Params):
    """Size, patches and pooling of the network."""

    dim: int = param(192, "width of the tokens", ge=4, multiple_of=4)
    depth: int = param(12, "transformer blocks", ge=1)
    heads: int = param(3, "attention heads", ge=1)
    patch_size: int = param(0, "side of a patch; 0: an eighth of the image, or a divisor below", ge=0, unit="px")
    pool: Literal["mean", "class"] = param("mean", "features: mean of the patch tokens, or the class token")


class ViTSmallImage(TokenBackbone):
    """Patches -> linear embedding + fixed 2-D positions -> class token in front -> blocks -> norm."""

    prefix_tokens = 1
    fixed_positions: Tensor

    def __init__(self, params: ViTParams, image_size: int) -> None:
        super().__init__()
        patch = params.patch_size or default_patch(image_size)
        where = "backbone 'vit-tiny-small-image'"
        if image_size % patch:
            raise UserError(f"{where}: image size {image_size} is not divisible by patch_size = {patch}")
        if params.dim % params.heads:
            raise UserError(f"{where}: dim = {params.dim} is not divisible by heads = {params.heads}")
        self.feature_dim = self.token_dim = params.dim
        self.patch_size = patch
        self.grid = (image_size // patch, image_size // patch)
        self.params = params
        self.patch_embed = nn.Linear(patch * patch * 3, params.dim)
        self.class_token = nn.Parameter(torch.empty(1, 1, params.dim))
        self.blocks = nn.Sequential(*(TransformerBlock(params.dim, params.heads) for _ in range(params.depth)))
        self.norm = nn.LayerNorm(params.dim, eps=1e-6)
        self.apply(init_transformer)
        nn.init.normal_(self.class_token, std=0.02)
        self.register_buffer("fixed_positions", sincos_positions(*self.grid, params.dim), persistent=False)

    def positions(self, grid: tuple[int, int]) -> Tensor:
        return self.fixed_positions if grid == self.grid else resized(self.fixed_positions, self.grid, grid)

    def embed(self, images: Tensor) -> Tensor:
        grid = images.shape[2] // self.patch_size, images.shape[3] // self.patch_size
        tokens: Tensor = self.patch_embed(to_patches(images, self.patch_size)) + self.positions(grid)
        return tokens

    def encode(self, tokens: Tensor, *, patches: Tensor | None = None, blocks: int = 1) -> Tensor:
        return last_blocks(self.blocks, self.norm, self._with_class_token(tokens), blocks)

    def pool(self, encoded: Tensor) -> Tensor:
        return encoded[:, 0] if self.params.pool == "class" else encoded[:, self.prefix_tokens :].mean(dim=1)

    def attention(self, images: Tensor) -> Tensor:
        tokens = self.blocks[:-1](self._with_class_token(self.embed(images)))
        last = cast(TransformerBlock, self.blocks[-1])
        return last.attention(tokens, slice(1))[:, :, 0, self.prefix_tokens :]

    def stochastic_depth(self, rate: float) -> None:
        for block, block_rate in zip(self.blocks, depth_rates(rate, len(self.blocks)), strict=True):
            cast(TransformerBlock, block).stochastic_depth(block_rate)

    def _with_class_token(self, tokens: Tensor) -> Tensor:
        return torch.cat([self.class_token.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], dim=1)

    def as_timm(self) -> TimmModel:
        """timm's vision transformer: the linear embedding as a convolution, the fixed positions as weights."""
        params, patch, dim = self.params, self.patch_size, self.token_dim
        weights = {}
        for name, value in self.state_dict().items():
            for own, timms in TIMM_NAMES.items():
                name = re.sub(own, timms, name)
            weights[name] = value
        embedding = weights["patch_embed.proj.weight"].view(dim, patch, patch, 3)
        weights["patch_embed.proj.weight"] = embedding.permute(0, 3, 1, 2).contiguous()
        weights["pos_embed"] = torch.cat([torch.zeros_like(self.class_token[0]), self.fixed_positions])[None]
        arguments = {
            "img_size": self.grid[0] * patch,
            "patch_size": patch,
            "embed_dim": dim,
            "depth": params.depth,
            "num_heads": params.heads,
            "global_pool": "token" if params.pool == "class" else "avg",
            "fc_norm": False,
        }
        return TimmModel("vit_tiny_patch16_224", arguments, weights)


def default_patch(image_size: int) -> int:
    """The largest patch that divides the image into a grid of 8 x 8 or finer."""
    return next(size for size in range(max(1, image_size // 8), 0, -1) if image_size % size == 0)


@hookimpl
def sslbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="vit-tiny-small-image",
            params=ViTParams,
            build=lambda params, context: ViTSmallImage(params, context.image_size),
            provides=frozenset({"tokens", "attention"}),
            presets={"quick": {"dim": 48, "depth": 2, "heads": 3}},
            citation="Dosovitskiy et al. 2021; width of ViT-Tiny: Touvron et al. 2021; positions: He et al. 2022",
        )
    ]
