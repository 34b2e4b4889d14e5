"""timm's networks as backbones: pooled features, and the patch tokens of vision transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sslbench import Backbone, TimmModel, TokenBackbone
from sslbench_plugins.blocks.networks.transformer import (
    attention_weights,
    depth_rates,
    last_blocks,
    resized,
    skip,
)


def gives_attention(net: Any) -> bool:
    """Whether a timm ``VisionTransformer`` has a class token and its last block is the plain one."""
    from timm.layers import Attention  # type: ignore[attr-defined]
    from timm.models.vision_transformer import Block

    last = net.blocks[-1]
    return net.cls_token is not None and type(last) is Block and type(last.attn) is Attention


class TimmBackbone(Backbone):
    """The pooled features before timm's classifier. ``architecture``, ``arguments``: what ``timm.create_model`` was, or
    could have been, called with, but for ``num_classes=0``."""

    def __init__(self, net: Any, architecture: str, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.net = net
        self.architecture, self.arguments = architecture, dict(arguments)
        self.feature_dim = int(net.num_features)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.net(images)
        return features

    def as_timm(self) -> TimmModel:
        return TimmModel(self.architecture, self.arguments, self.net.state_dict())


class TimmTokenBackbone(TokenBackbone):
    """A timm ``VisionTransformer``: patch embedding, blocks and norm are timm's, the pooling is the model's own.
    ``architecture``, ``arguments``: as of ``TimmBackbone``."""

    net: Any

    def __init__(self, net: Any, architecture: str, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.net = net
        self.architecture, self.arguments = architecture, dict(arguments)
        self.feature_dim = self.token_dim = net.embed_dim
        self.grid = tuple(net.patch_embed.grid_size)
        self.patch_size = net.patch_embed.patch_size[0]
        self.prefix_tokens = net.num_prefix_tokens
        # Crops smaller than the model was made for are allowed: their positions are resized.
        net.patch_embed.strict_img_size = False

    def positions(self, grid: tuple[int, int]) -> Tensor:
        own: Tensor = self.net.pos_embed[0, -self.grid[0] * self.grid[1] :]
        return own if grid == self.grid else resized(own, self.grid, grid)

    def embed(self, images: Tensor) -> Tensor:
        grid = images.shape[2] // self.patch_size, images.shape[3] // self.patch_size
        tokens: Tensor = self.net.patch_embed(images) + self.positions(grid)
        return tokens

    def encode(self, tokens: Tensor, *, patches: Tensor | None = None, blocks: int = 1) -> Tensor:
        return last_blocks(self.net.blocks, self.net.norm, self._with_prefix(tokens), blocks)

    def pool(self, encoded: Tensor) -> Tensor:
        features: Tensor = self.net.forward_head(encoded, pre_logits=True)
        return features

    def attention(self, images: Tensor) -> Tensor:
        tokens = self._with_prefix(self.embed(images))
        last = self.net.blocks[-1]
        tokens = self.net.blocks[:-1](tokens)
        part = last.attn
        batch, count, _ = tokens.shape
        mixed = part.qkv(last.norm1(tokens)).view(batch, count, 3, part.num_heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys = part.q_norm(mixed[0]), part.k_norm(mixed[1])
        return attention_weights(queries[:, :, :1], keys, part.scale)[:, :, 0, self.prefix_tokens :]

    def stochastic_depth(self, rate: float) -> None:
        for block, block_rate in zip(self.net.blocks, depth_rates(rate, len(self.net.blocks)), strict=True):
            block.drop_path1, block.drop_path2 = (skip(block_rate).train(self.training) for _ in range(2))

    def _with_prefix(self, tokens: Tensor) -> Tensor:
        """The input of the blocks: class token and registers in front of the patches."""
        net = self.net
        prefix = [token for token in (net.cls_token, net.reg_token) if token is not None]
        if prefix:
            front = torch.cat(prefix, dim=1)
            if net.pos_embed.shape[1] == self.grid[0] * self.grid[1] + front.shape[1]:
                front = front + net.pos_embed[:, : front.shape[1]]
            tokens = torch.cat([front.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], dim=1)
        normed: Tensor = net.norm_pre(tokens)
        return normed

    def as_timm(self) -> TimmModel:
        return TimmModel(self.architecture, self.arguments, self.net.state_dict())


def as_backbone(net: Any, architecture: str, arguments: Mapping[str, Any]) -> TimmBackbone | TimmTokenBackbone:
    """A timm model without classifier as a backbone, with tokens where it has them."""
    return (TimmTokenBackbone if gives_tokens(net) else TimmBackbone)(net, architecture, arguments)


def gives_tokens(net: Any) -> bool:
    """Whether a timm model is a plain vision transformer with positions added at the input."""
    from timm.models.vision_transformer import VisionTransformer

    # Subclasses put tokens of their own in front (distillation), which ``encode`` would leave out.
    return type(net) is VisionTransformer and net.pos_embed is not None and net.attn_pool is None


def provided_by(make: Callable[[], Any]) -> frozenset[str]:
    """Of ``tokens`` and ``attention``, what the timm model that ``make`` builds has; without memory where it works."""
    try:
        with torch.device("meta"):
            net = make()
    except RuntimeError:
        # Older versions of timm read numbers back while they build, which the meta device has none of.
        net = make()
    if not gives_tokens(net):
        return frozenset()
    return frozenset({"tokens", "attention"} if gives_attention(net) else {"tokens"})
