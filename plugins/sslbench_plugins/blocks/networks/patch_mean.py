"""A backbone pooled anew: its features are the mean of its patch tokens."""

from __future__ import annotations

from torch import Tensor

from sslbench import TimmModel, TokenBackbone


class PatchMean(TokenBackbone):
    """``backbone`` with all its tokens and attention, whose features are the mean of the patches of the last block,
    whatever its own pooling is."""

    def __init__(self, backbone: TokenBackbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.feature_dim = self.token_dim = backbone.token_dim
        self.grid, self.patch_size, self.prefix_tokens = backbone.grid, backbone.patch_size, backbone.prefix_tokens
        self.loaded_weights = backbone.loaded_weights

    def positions(self, grid: tuple[int, int]) -> Tensor:
        return self.backbone.positions(grid)

    def embed(self, images: Tensor) -> Tensor:
        return self.backbone.embed(images)

    def encode(self, tokens: Tensor, *, patches: Tensor | None = None, blocks: int = 1) -> Tensor:
        return self.backbone.encode(tokens, patches=patches, blocks=blocks)

    def pool(self, encoded: Tensor) -> Tensor:
        return encoded[:, self.prefix_tokens :].mean(dim=1)

    def attention(self, images: Tensor) -> Tensor:
        return self.backbone.attention(images)

    def stochastic_depth(self, rate: float) -> None:
        self.backbone.stochastic_depth(rate)

    def as_timm(self) -> TimmModel | None:
        """timm's network with the mean as its pooling, and no norm after it."""
        model = self.backbone.as_timm()
        if model is None:
            return None
        return TimmModel(model.architecture, {**model.arguments, "global_pool": "avg", "fc_norm": False}, model.weights)
