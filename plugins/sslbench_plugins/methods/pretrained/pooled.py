"""Features of a transformer by another pooling than its own, or of several blocks (DINO's linear evaluation)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sslbench import Backbone, TimmModel, TokenBackbone, UserError
from sslbench_plugins.blocks.networks.model_files import METHOD
from sslbench_plugins.methods.pretrained.params import Pool, PretrainedParams

TIMMS_POOLS = {"class": "token", "mean": "avg"}


class Pooled(TokenBackbone):
    """A transformer whose features are pooled from each of its last ``blocks`` blocks, side by side; its tokens and its
    attention are as they were."""

    def __init__(self, inner: TokenBackbone, pool: Pool, blocks: int) -> None:
        super().__init__()
        self.inner, self.pooling, self.blocks = inner, pool, blocks
        self.token_dim, self.grid, self.patch_size = inner.token_dim, inner.grid, inner.patch_size
        self.prefix_tokens = inner.prefix_tokens
        self.feature_dim = blocks * inner.feature_dim

    def positions(self, grid: tuple[int, int]) -> Tensor:
        return self.inner.positions(grid)

    def embed(self, images: Tensor) -> Tensor:
        return self.inner.embed(images)

    def encode(self, tokens: Tensor, *, patches: Tensor | None = None, blocks: int = 1) -> Tensor:
        return self.inner.encode(tokens, patches=patches, blocks=blocks)

    def pool(self, encoded: Tensor) -> Tensor:
        """``[B, prefix_tokens + n, blocks * token_dim]`` -> ``[B, blocks * feature_dim]``, for any number of blocks."""
        parts = torch.split(encoded, self.token_dim, dim=-1)
        return torch.cat([self._pool(part) for part in parts], dim=-1)

    def _pool(self, encoded: Tensor) -> Tensor:
        if self.pooling == "own":
            return self.inner.pool(encoded)
        pooled = encoded[:, 0] if self.pooling == "class" else encoded[:, self.prefix_tokens :].mean(dim=1)
        # Where the norm is behind the pooling.
        normed: Tensor = getattr(network_of(self.inner), "fc_norm", nn.Identity())(pooled)
        return normed

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(self.encode(self.embed(images), blocks=self.blocks))

    def attention(self, images: Tensor) -> Tensor:
        return self.inner.attention(images)

    def stochastic_depth(self, rate: float) -> None:
        self.inner.stochastic_depth(rate)

    def as_timm(self) -> TimmModel | None:
        """The same network with another ``global_pool``; None for several blocks, which timm does not pool."""
        model = self.inner.as_timm()
        if model is None or self.blocks > 1 or self.pooling == "own":
            return None
        arguments = {**model.arguments, "global_pool": TIMMS_POOLS[self.pooling], **norms_of(network_of(self.inner))}
        weights = {name: value for name, value in model.weights.items() if not name.startswith("attn_pool.")}
        return TimmModel(model.architecture, arguments, weights)


def pooled(encoder: Backbone, params: PretrainedParams) -> Backbone:
    """The encoder with the features that ``pool`` and ``blocks`` ask for. Raises UserError where it has none such."""
    if (params.pool, params.blocks) == ("own", 1):
        return encoder
    asked = f"{METHOD}: pool = {params.pool}" if params.pool != "own" else f"{METHOD}: blocks = {params.blocks}"
    source = params.path or params.name
    if not isinstance(encoder, TokenBackbone):
        raise UserError(f"{asked} needs a model with tokens; {source} gives features alone")
    net = network_of(encoder)
    if params.blocks > (depth := len(getattr(net, "blocks", ())) or params.blocks):
        raise UserError(f"{METHOD}: blocks = {params.blocks}; allowed: 1 to {depth}, the blocks of {source}")
    if params.pool == "class" and getattr(net, "cls_token", True) is None:
        raise UserError(f"{asked}: {source} has no class token; allowed: own, mean")
    if params.pool == "own" and getattr(net, "attn_pool", None) is not None:
        raise UserError(f"{asked}: {source} has an attention pool for its last block alone; give pool=mean")
    return Pooled(encoder, params.pool, params.blocks)


def network_of(encoder: Backbone) -> Any:
    """timm's network of an encoder; the encoder itself where there is none."""
    return getattr(encoder, "net", encoder)


def norms_of(net: Any) -> dict[str, bool]:
    """timm's arguments for a norm before or behind the pooling, which would else follow from the pooling."""
    behind, before = (not isinstance(getattr(net, name, nn.Identity()), nn.Identity) for name in ("fc_norm", "norm"))
    if hasattr(net, "rope"):
        return {"use_fc_norm": behind, "use_post_transformer_norm": before}
    return {"fc_norm": behind}
