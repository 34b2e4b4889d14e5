"""MAE: hide most patches, encode the rest, and paint the hidden ones back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sslbench import (
    BuildContext,
    Method,
    MethodParams,
    MethodSpec,
    Progress,
    TokenBackbone,
    UserError,
    ViewRequest,
    hookimpl,
    masked_count,
    param,
)
from sslbench_plugins.blocks.networks.patches import from_patches, to_patches
from sslbench_plugins.blocks.networks.transformer import TransformerBlock, init_transformer, sincos_positions


class MAEParams(MethodParams):
    """Defaults: He et al. 2022, appendix A.1, and the authors' `PRETRAIN.md`."""

    decoder_dim: int = param(512, "width of the decoder", ge=4, multiple_of=4)
    decoder_depth: int = param(8, "blocks of the decoder", ge=1)
    decoder_heads: int = param(16, "attention heads of the decoder", ge=1)
    mask_tokens_in_encoder: bool = param(
        False, "for comparison: the encoder sees a learned token in the place of each hidden patch"
    )
    norm_pix: bool = param(True, "normalise each target patch by its own mean and deviation")
    lr: float = param(1.5e-4, "base learning rate", gt=0)
    beta2: float = param(0.95, "adamw: decay of the second moment", ge=0, lt=1)
    weight_decay: float = param(0.05, "weight decay", ge=0)
    warmup_epochs: float = param(40, "linear warm-up before the cosine decay", ge=0, unit="epochs")


class MAE(Method):
    """N patches, n of them visible. The encoder sees the visible tokens only; the decoder sees all N, with a
    learned token in the place of each hidden one, and predicts pixels."""

    def __init__(self, params: MAEParams, backbone: TokenBackbone, image_size: int, mask_ratio: float) -> None:
        super().__init__()
        self.image_size = image_size
        self.norm_pix = params.norm_pix
        self.mask_tokens_in_encoder = params.mask_tokens_in_encoder
        self.backbone = backbone
        self.patches = backbone.grid[0] * backbone.grid[1]
        self.hidden = masked_count(self.patches, mask_ratio)
        if params.decoder_dim % params.decoder_heads:
            raise UserError(
                f"method 'mae': decoder_dim = {params.decoder_dim} is not divisible by"
                f" decoder_heads = {params.decoder_heads}"
            )
        dim = params.decoder_dim
        self.decoder_embed = nn.Linear(backbone.token_dim, dim)
        self.mask_token = nn.Parameter(torch.empty(1, 1, dim))
        self.decoder_blocks = nn.ModuleList(
            TransformerBlock(dim, params.decoder_heads) for _ in range(params.decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(dim, eps=1e-6)
        self.decoder_pred = nn.Linear(dim, backbone.patch_size**2 * 3)
        for part in (self.decoder_embed, self.decoder_blocks, self.decoder_pred):
            part.apply(init_transformer)
        nn.init.normal_(self.mask_token, std=0.02)
        if params.mask_tokens_in_encoder:
            self.encoder_mask_token = nn.Parameter(torch.empty(1, 1, backbone.token_dim))
            nn.init.normal_(self.encoder_mask_token, std=0.02)
        self.register_buffer("decoder_positions", sincos_positions(*backbone.grid, dim), persistent=False)

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),)

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    @property
    def mask_grid(self) -> tuple[int, int]:
        return self.backbone.grid

    def forward(
        self, views: Sequence[Tensor], *, mask: Tensor | None, progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        assert mask is not None
        prediction, hidden = self.predict(views[0], mask, self.hidden)
        target = gather(self.target(views[0]), hidden)
        return (prediction - target).square().mean(), {}

    def predict(self, images: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """What the decoder paints, float32 ``[B, count, patch * patch * 3]``, and where, int64 ``[B, count]``; ``mask``
        hides ``count`` patches of each image."""
        # Visible patches first, each part in its own order; the count per row is fixed, so no size is read back.
        order = mask.to(torch.uint8).argsort(dim=1, stable=True)
        visible, hidden = order.split([self.patches - count, count], dim=1)
        if self.mask_tokens_in_encoder:
            encoded = self.backbone.encode(self.masked(self.backbone.embed(images), mask))
            prediction = self.decode_all(encoded, hidden)
        else:
            encoded = self.backbone.encode(gather(self.backbone.embed(images), visible))
            prediction = self.decode(encoded, visible, hidden)
        return prediction.float(), hidden

    def reconstruct(self, images: Tensor, mask: Tensor) -> Tensor:
        """As ``Method.reconstruct``, for masks of any ratio.

        With ``norm_pix`` the decoder paints patches of mean 0 and deviation 1. Each is then given the mean and the
        deviation of the patch that it stands for, which the visible patches do not tell.
        """
        prediction, hidden = self.predict(images, mask, int(mask[0].sum()))
        patches = to_patches(images, self.backbone.patch_size).float()
        if self.norm_pix:
            mean, deviation = patch_statistics(gather(patches, hidden))
            prediction = prediction * deviation + mean
        whole = patches.scatter(1, hidden.unsqueeze(-1).expand_as(prediction), prediction)
        return from_patches(whole, self.backbone.patch_size, self.backbone.grid)

    def masked(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Embedded patches ``[B, N, D]`` with the hidden ones replaced by the encoder's mask token at their place.

        The embedding of black is a bias and the position; the learned token takes the bias up.
        """
        side = self.image_size
        places = self.backbone.embed(tokens.new_zeros(1, 3, side, side))
        return torch.where(mask.unsqueeze(-1), (self.encoder_mask_token + places).to(tokens.dtype), tokens)

    def decode_all(self, encoded: Tensor, hidden: Tensor) -> Tensor:
        """Encoded ``[B, prefix + N, D]`` of all patches -> predicted hidden patches, as ``decode``."""
        tokens = self.decoder_embed(encoded)
        prefix = self.backbone.prefix_tokens
        places = self.decoder_positions.to(tokens.dtype)
        tokens = torch.cat([tokens[:, :prefix], tokens[:, prefix:] + places], dim=1)
        for block in self.decoder_blocks:
            tokens = block(tokens)
        return self.decoder_pred(self.decoder_norm(gather(tokens[:, prefix:], hidden)))

    def decode(self, encoded: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """Encoded ``[B, prefix + n, D]`` -> predicted hidden patches ``[B, N - n, patch * patch * 3]``.

        Attention does not care for order, so tokens stay in (prefix, visible, hidden) order and only their
        positions are looked up.
        """
        tokens = self.decoder_embed(encoded)
        prefix = self.backbone.prefix_tokens
        at_visible = self.decoder_positions[visible].to(tokens.dtype)
        at_hidden = self.decoder_positions[hidden].to(tokens.dtype) + self.mask_token.to(tokens.dtype)
        tokens = torch.cat([tokens[:, :prefix], tokens[:, prefix:] + at_visible, at_hidden], dim=1)
        for block in self.decoder_blocks:
            tokens = block(tokens)
        return self.decoder_pred(self.decoder_norm(tokens[:, -hidden.shape[1] :]))

    def target(self, images: Tensor) -> Tensor:
        """What the decoder should paint: the pixels of each patch ``[B, N, patch * patch * 3]``, normalised within
        the patch where ``norm_pix`` says so (unbiased variance, as the authors' code)."""
        patches = to_patches(images, self.backbone.patch_size).float()
        if self.norm_pix:
            mean, deviation = patch_statistics(patches)
            patches = (patches - mean) / deviation
        return patches


def patch_statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation that a target is normalised by: ``[B, n, values]`` -> ``[B, n, 1]`` each."""
    return patches.mean(-1, keepdim=True), (patches.var(-1, keepdim=True) + 1e-6).sqrt()


def gather(tokens: Tensor, indices: Tensor) -> Tensor:
    """``[B, N, D]``, int64 ``[B, n]`` -> ``[B, n, D]``."""
    return tokens.gather(1, indices.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def build(params: MAEParams, context: BuildContext) -> MAE:
    return MAE(params, context.backbone, context.image_size, context.mask_ratio)


# Not published: a decoder for a backbone of ViT-Tiny's width, the authors' other base rate and a short warm-up.
CIFAR = {"decoder_dim": 192, "decoder_depth": 4, "decoder_heads": 3, "lr": 1e-3, "warmup_epochs": 10}
QUICK = {
    "decoder_dim": 48,
    "decoder_depth": 2,
    "decoder_heads": 3,
    "norm_pix": False,
    "lr": 2e-3,
    "lr_batch": 0,
    "warmup_epochs": 1,
}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="mae",
            summary=__doc__.partition("\n")[0],
            params=MAEParams,
            build=build,
            uses=frozenset({"backbone", "augmentation", "masking"}),
            needs=frozenset({"tokens"}),
            provides=frozenset({"reconstruction"}),
            augmentation="mae",
            presets={"cifar": CIFAR, "quick": QUICK},
            citation="He, Chen, Xie, Li, Dollár, Girshick: Masked Autoencoders Are Scalable Vision Learners, CVPR 2022",
        )
    ]
