"""MAE, masked autoencoder: masked image modelling that encodes visible patches only and reconstructs masked ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sslbench import (
    BuildContext,
    MaskRequest,
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
from sslbench_plugins.blocks.networks.mask_tokens import MaskTokens
from sslbench_plugins.blocks.networks.patches import from_patches, gather, to_patches
from sslbench_plugins.blocks.networks.transformer import TransformerBlock, init_transformer, sincos_positions


class MAEParams(MethodParams):
    """Defaults: He et al. 2022, appendix A.1, and the authors' `PRETRAIN.md`."""

    decoder_dim: int = param(512, "width of the decoder", ge=4, multiple_of=4)
    decoder_depth: int = param(8, "blocks of the decoder", ge=1)
    decoder_heads: int = param(16, "attention heads of the decoder", ge=1)
    mask_tokens_in_encoder: bool = param(
        False, "ablation: the encoder gets all patches, with a learned mask token in the place of each masked one"
    )
    norm_pix: bool = param(True, "normalise each target patch by its own mean and deviation")
    lr: float = param(1.5e-4, "base learning rate", gt=0)
    beta2: float = param(0.95, "adamw: decay of the second moment", ge=0, lt=1)
    weight_decay: float = param(0.05, "weight decay", ge=0)
    warmup_epochs: float = param(40, "linear warm-up before the cosine decay", ge=0, unit="epochs")


class MAE(Method):
    """N patches of p x p pixels, n of them visible. The encoder gets the visible patches only; the decoder gets all N,
    with a learned mask token in the place of each masked one, and reconstructs pixels."""

    decoder_positions: Tensor

    def __init__(self, params: MAEParams, backbone: TokenBackbone, image_size: int, mask_ratio: float) -> None:
        super().__init__()
        self.image_size = image_size
        self.norm_pix = params.norm_pix
        self.backbone = backbone
        self.patches = backbone.grid[0] * backbone.grid[1]
        self.masked_patches = masked_count(self.patches, mask_ratio)
        if params.decoder_dim % params.decoder_heads:
            raise UserError(
                f"method 'mae': decoder_dim = {params.decoder_dim} is not divisible by"
                f" decoder_heads = {params.decoder_heads}"
            )
        dim = params.decoder_dim
        self.decoder_embed = nn.Linear(backbone.token_dim, dim)
        self.mask_token = nn.Parameter(torch.empty(1, 1, dim))
        blocks = [TransformerBlock(dim, params.decoder_heads) for _ in range(params.decoder_depth)]
        self.decoder_blocks = nn.Sequential(*blocks)
        self.decoder_norm = nn.LayerNorm(dim, eps=1e-6)
        self.decoder_pred = nn.Linear(dim, backbone.patch_size**2 * 3)
        for part in (self.decoder_embed, self.decoder_blocks, self.decoder_pred):
            part.apply(init_transformer)
        nn.init.normal_(self.mask_token, std=0.02)
        self.register_buffer("decoder_positions", sincos_positions(*backbone.grid, dim), persistent=False)

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),)

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    @property
    def masks(self) -> tuple[MaskRequest, ...]:
        return (MaskRequest(),)

    @property
    def mask_grid(self) -> tuple[int, int]:
        return self.backbone.grid

    def split(self, mask: Tensor, masked_patches: int) -> tuple[Tensor, Tensor]:
        """bool ``[B, N]``, as many True in each row -> indices of visible patches, int64 ``[B, n]``, and of masked
        ones, int64 ``[B, N - n]``, ascending."""
        # The number per row is given: reading it from the mask would wait for the device.
        order = mask.to(torch.uint8).argsort(dim=1, stable=True)
        visible, masked = torch.split(order, [self.patches - masked_patches, masked_patches], dim=1)
        return visible, masked

    def encode(self, images: Tensor, visible: Tensor) -> Tensor:
        """``[B, 3, S, S]``, visible ``[B, n]`` -> encoded visible patches ``[B, prefix + n, D]``."""
        return self.backbone.encode(gather(self.backbone.embed(images), visible), patches=visible)

    def decode(self, encoded: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """Encoded ``[B, prefix + n, D]`` -> predicted masked patches ``[B, N - n, p * p * 3]``. Attention does not
        depend on order: tokens stay in (prefix, visible, masked) order, and only their positions are looked up."""
        tokens = self.decoder_embed(encoded)
        prefix = self.backbone.prefix_tokens
        at_visible = self.decoder_positions[visible].to(tokens.dtype)
        at_masked = self.decoder_positions[masked].to(tokens.dtype) + self.mask_token.to(tokens.dtype)
        tokens = torch.cat([tokens[:, :prefix], tokens[:, prefix:] + at_visible, at_masked], dim=1)
        tokens = self.decoder_blocks(tokens)
        pixels: Tensor = self.decoder_pred(self.decoder_norm(tokens[:, -masked.shape[1] :]))
        return pixels

    def loss(self, images: Tensor, prediction: Tensor, masked: Tensor) -> Tensor:
        """Mean squared error of the predicted masked patches, a scalar."""
        return (prediction - gather(self.target(images), masked)).square().mean()

    def target(self, images: Tensor) -> Tensor:
        """What the decoder should predict: the pixels of each patch ``[B, N, p * p * 3]``, normalised within the patch
        where ``norm_pix`` says so (unbiased variance, as in the authors' code)."""
        patches = to_patches(images, self.backbone.patch_size).float()
        if self.norm_pix:
            mean, deviation = patch_statistics(patches)
            patches = (patches - mean) / deviation
        return patches

    def predict(self, images: Tensor, mask: Tensor, masked_patches: int) -> tuple[Tensor, Tensor]:
        """The decoder's prediction, float32 ``[B, N - n, p * p * 3]``, and the patches that it is of, int64
        ``[B, N - n]``. Every row of ``mask`` masks ``masked_patches``."""
        visible, masked = self.split(mask, masked_patches)
        return self.decode(self.encode(images, visible), visible, masked).float(), masked

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """One view ``[B, 3, S, S]`` and its mask ``[B, N]`` -> the loss."""
        (images,), (mask,) = views, masks
        prediction, masked = self.predict(images, mask, self.masked_patches)
        return self.loss(images, prediction, masked), {}

    def reconstruct(self, images: Tensor, mask: Tensor) -> Tensor:
        """As ``Method.reconstruct``, for masks of any ratio. With ``norm_pix`` each predicted patch gets the mean and
        the deviation of the true one, which are not known from the visible patches."""
        prediction, masked = self.predict(images, mask, int(mask[0].sum()))
        patches = to_patches(images, self.backbone.patch_size).float()
        if self.norm_pix:
            mean, deviation = patch_statistics(gather(patches, masked))
            prediction = prediction * deviation + mean
        whole = patches.scatter(1, masked.unsqueeze(-1).expand_as(prediction), prediction)
        return from_patches(whole, self.backbone.patch_size, self.backbone.grid)


def patch_statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation that a target is normalised by: ``[B, n, values]`` -> ``[B, n, 1]`` each."""
    return patches.mean(-1, keepdim=True), (patches.var(-1, keepdim=True) + 1e-6).sqrt()


class MAEWithMaskTokensInEncoder(MAE):
    """The paper's ablation "encoder w/ [M]" (table 1c): the encoder gets all N patches, mask tokens included."""

    def __init__(self, params: MAEParams, backbone: TokenBackbone, image_size: int, mask_ratio: float) -> None:
        super().__init__(params, backbone, image_size, mask_ratio)
        self.mask_tokens = MaskTokens(backbone)

    def predict(self, images: Tensor, mask: Tensor, masked_patches: int) -> tuple[Tensor, Tensor]:
        """As in ``MAE``."""
        _, masked = self.split(mask, masked_patches)
        encoded = self.backbone.encode(self.mask_tokens(self.backbone, images, mask))
        return self.decode_all(encoded, masked).float(), masked

    def decode_all(self, encoded: Tensor, masked: Tensor) -> Tensor:
        """Encoded ``[B, prefix + N, D]`` of all patches -> predicted masked patches ``[B, N - n, p * p * 3]``."""
        tokens = self.decoder_embed(encoded)
        prefix = self.backbone.prefix_tokens
        positions = self.decoder_positions.to(tokens.dtype)
        tokens = torch.cat([tokens[:, :prefix], tokens[:, prefix:] + positions], dim=1)
        tokens = self.decoder_blocks(tokens)
        pixels: Tensor = self.decoder_pred(self.decoder_norm(gather(tokens[:, prefix:], masked)))
        return pixels


def build(params: MAEParams, context: BuildContext) -> MAE:
    """MAE or its ablation. Raises UserError where heads do not divide the decoder, or a ratio masks all or nothing."""
    assert context.mask_ratio is not None
    variant = MAEWithMaskTokensInEncoder if params.mask_tokens_in_encoder else MAE
    return variant(params, context.backbone, context.image_size, context.mask_ratio)


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
