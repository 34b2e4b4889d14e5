"""timm's networks as backbones: pooled features, and the patch tokens of its vision transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sslbench import Backbone, TimmModel, TokenBackbone
from sslbench_plugins.blocks.networks.timm_attention import gives_attention, has_query, of_class_token, of_query
from sslbench_plugins.blocks.networks.timm_rotary import Rotations
from sslbench_plugins.blocks.networks.transformer import depth_rates, last_blocks, resized, skip


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
    """A timm ``VisionTransformer`` or ``Eva``: patch embedding, blocks and norm are timm's, the pooling is the model's
    own. ``architecture``, ``arguments``: as of ``TimmBackbone``."""

    net: Any

    def __init__(self, net: Any, architecture: str, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.net = net
        self.architecture, self.arguments = architecture, dict(arguments)
        self.feature_dim = self.token_dim = net.embed_dim
        self.grid = tuple(net.patch_embed.grid_size)
        self.patch_size = net.patch_embed.patch_size[0]
        self.prefix_tokens = net.num_prefix_tokens
        self._rotated = Rotations(self.grid)
        # Crops smaller than the model was made for are allowed: their positions are resized.
        net.patch_embed.strict_img_size = False

    def positions(self, grid: tuple[int, int]) -> Tensor:
        if self.net.pos_embed is None:
            weights = self.net.patch_embed.proj.weight
            return torch.zeros(grid[0] * grid[1], self.token_dim, dtype=weights.dtype, device=weights.device)
        own: Tensor = self.net.pos_embed[0, -self.grid[0] * self.grid[1] :]
        return own if grid == self.grid else resized(own, self.grid, grid)

    def embed(self, images: Tensor) -> Tensor:
        grid = self.net.patch_embed.dynamic_feat_size(images.shape[2:])
        tokens: Tensor = self.net.patch_embed(images)
        if tokens.ndim == 4:  # of a network whose ``dynamic_img_size`` is set
            tokens = tokens.flatten(1, 2)
        return tokens + self.positions(grid)

    def encode(self, tokens: Tensor, *, patches: Tensor | None = None, blocks: int = 1) -> Tensor:
        layers = self._layers(self._rotations(tokens.shape[1], patches))
        return last_blocks(layers, self.net.norm, self._with_prefix(tokens), blocks)

    def pool(self, encoded: Tensor) -> Tensor:
        features: Tensor = self.net.forward_head(encoded, pre_logits=True)
        return features

    def attention(self, images: Tensor) -> Tensor:
        tokens = self.embed(images)
        if has_query(self.net):
            return of_query(self.net, self.encode(tokens))
        rotation = self._rotations(tokens.shape[1], None)
        tokens = self._with_prefix(tokens)
        for layer in self._layers(rotation)[:-1]:
            tokens = layer(tokens)
        return of_class_token(self.net.blocks[-1], tokens, rotation[-1], self.prefix_tokens)

    def stochastic_depth(self, rate: float) -> None:
        for block, block_rate in zip(self.net.blocks, depth_rates(rate, len(self.net.blocks)), strict=True):
            block.drop_path1, block.drop_path2 = (skip(block_rate).train(self.training) for _ in range(2))

    def _layers(self, rotation: Sequence[Tensor | None]) -> list[Callable[[Tensor], Tensor]]:
        """The blocks, each with the rotation of its tokens."""
        pairs = zip(self.net.blocks, rotation, strict=True)
        return [block if one is None else partial(block, rope=one) for block, one in pairs]

    def _rotations(self, count: int, patches: Tensor | None) -> Sequence[Tensor | None]:
        """How each block turns ``count`` patches; None where it does not."""
        if getattr(self.net, "rope", None) is None:
            return [None] * len(self.net.blocks)
        return self._rotated(self.net, self._grid_of(count) if patches is None else self.grid, patches)

    def _grid_of(self, count: int) -> tuple[int, int]:
        """The grid of all patches of an image: the network's own, else a square one."""
        if count == self.grid[0] * self.grid[1]:
            return self.grid
        side = round(count**0.5)
        if side * side != count:
            raise ValueError(f"{count} tokens are no square grid; patches= says which patches they are")
        return side, side

    def _with_prefix(self, tokens: Tensor) -> Tensor:
        """The input of the blocks: class token and registers in front of the patches."""
        net = self.net
        prefix = [token for token in (net.cls_token, net.reg_token) if token is not None]
        if prefix:
            front = torch.cat(prefix, dim=1)
            if net.pos_embed is not None and not net.no_embed_class:
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
    """Whether a timm model is a plain vision transformer, its positions added at the input or rotary."""
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    # Subclasses put tokens of their own in front (distillation), which ``encode`` would leave out.
    return type(net) in (VisionTransformer, Eva)


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
