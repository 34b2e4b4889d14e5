"""I-JEPA: predicts the representations of target blocks, by a momentum encoder (EMA), from one context block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    param,
)
from sslbench_plugins.blocks.networks.patch_mean import PatchMean
from sslbench_plugins.blocks.networks.patches import gather, to_patches
from sslbench_plugins.blocks.networks.transformer import TransformerBlock, init_transformer, sincos_positions
from sslbench_plugins.blocks.objectives.moving_average import ema_copy, ema_update
from sslbench_plugins.blocks.objectives.self_distillation import embedding_spread


class IJEPAParams(MethodParams):
    """Defaults: Assran et al. 2023, appendix A.1, with the predictor of ViT-L and ViT-H."""

    predictor_dim: int = param(384, "width of the predictor", ge=4, multiple_of=4)
    predictor_depth: int = param(12, "blocks of the predictor", ge=1)
    predictor_heads: int = param(12, "attention heads of the predictor", ge=1)
    target: Literal["representations", "pixels"] = param(
        "representations", "what is predicted of a target's patches; ablation: their pixels"
    )
    target_momentum: float = param(0.996, "of the target encoder's moving average at the start", ge=0, lt=1)
    target_momentum_end: float = param(1.0, "the same at the end, in equal steps", ge=0, le=1)
    lr: float = param(1e-3, "base learning rate", gt=0)
    lr_batch: int = param(2048, "batch size that `lr` is meant for; 0: use `lr` as it is", ge=0, unit="images")
    lr_end: float = param(1e-6, "learning rate at the end of the cosine", ge=0)
    weight_decay: float = param(0.04, "weight decay", ge=0)
    weight_decay_end: float | None = param(0.4, "weight decay at the end of a cosine from `weight_decay`", ge=0)
    warmup_epochs: float = param(15, "linear warm-up before the cosine decay", ge=0, unit="epochs")


class Predictor(nn.Module):
    """A narrow transformer: from the context and the positions of a target to the target, each target by itself."""

    positions: Tensor

    def __init__(self, params: IJEPAParams, backbone: TokenBackbone, dim_out: int) -> None:
        super().__init__()
        dim, heads = params.predictor_dim, params.predictor_heads
        if dim % heads:
            raise UserError(f"method 'ijepa': predictor_dim = {dim} is not divisible by predictor_heads = {heads}")
        self.embed = nn.Linear(backbone.token_dim, dim)
        self.mask_token = nn.Parameter(torch.empty(dim))
        self.blocks = nn.Sequential(*(TransformerBlock(dim, heads) for _ in range(params.predictor_depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.project = nn.Linear(dim, dim_out)
        self.apply(init_transformer)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        self.register_buffer("positions", sincos_positions(*backbone.grid, dim), persistent=False)

    def forward(self, encoded: Tensor, context: Tensor, targets: Tensor) -> Tensor:
        """Encoded context ``[B, n, D]``, its patches int64 ``[B, n]`` and those of K targets ``[B, K, M]`` -> the
        predicted targets ``[B, K, M, dim_out]``."""
        batch, count, _ = targets.shape
        known = self.embed(encoded)
        known = known + self.positions[context].to(known.dtype)
        asked = (self.mask_token + self.positions[targets]).to(known.dtype)
        tokens = torch.cat([known.unsqueeze(1).expand(-1, count, -1, -1), asked], dim=2)
        predicted = self.blocks(tokens.flatten(0, 1))[:, context.shape[1] :]
        result: Tensor = self.project(self.norm(predicted)).unflatten(0, (batch, count))
        return result


class IJEPA(Method):
    """Context encoder f, target encoder f', predictor g, context x and targets y: ``loss = smooth_l1(g(f(x), positions
    of y), layer_norm(f'(image))[y])``. f' is evaluated, with the mean of its patch tokens."""

    def __init__(self, params: IJEPAParams, backbone: TokenBackbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self.image_size = image_size
        self.backbone = backbone
        pixels = backbone.patch_size**2 * 3
        self.predictor = Predictor(params, backbone, pixels if params.target == "pixels" else backbone.token_dim)
        self.target_encoder = PatchMean(ema_copy(backbone))

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),)

    @property
    def encoder(self) -> nn.Module:
        return self.target_encoder

    @property
    def masks(self) -> tuple[MaskRequest, ...]:
        return MaskRequest(role="context"), MaskRequest(role="targets")

    @property
    def mask_grid(self) -> tuple[int, int]:
        return self.backbone.grid

    def predict(self, images: Tensor, context: Tensor, targets: Tensor) -> Tensor:
        """``[B, 3, S, S]``, int64 ``[B, n]`` and ``[B, K, M]`` -> the predicted targets, float32 ``[B, K, M, D]``, from
        the pixels of the context alone."""
        encoded = self.backbone.encode(gather(self.backbone.embed(images), context), patches=context)
        predicted: Tensor = self.predictor(encoded[:, self.backbone.prefix_tokens :], context, targets)
        return predicted.float()

    @torch.no_grad()
    def wanted(self, images: Tensor) -> Tensor:
        """What should be predicted of every patch, float32 ``[B, N, D]``: the tokens of the target encoder, which gets
        all of them, layer-normed; or the pixels as they are."""
        if self.params.target == "pixels":
            return to_patches(images, self.backbone.patch_size).float()
        encoder = self.target_encoder
        tokens = encoder.encode(encoder.embed(images))[:, encoder.prefix_tokens :].float()
        return functional.layer_norm(tokens, tokens.shape[-1:])

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """One view ``[B, 3, S, S]``, its context ``[B, n]`` and its targets ``[B, K, M]`` -> the loss, and how far
        apart the target encoder's features of the images are, in which collapse shows."""
        (images,), (context, targets) = views, masks
        wanted = self.wanted(images)
        expected = gather(wanted, targets.flatten(1)).view(*targets.shape, -1)
        loss = functional.smooth_l1_loss(self.predict(images, context, targets), expected)
        if self.params.target == "pixels":
            return loss, {}
        return loss, {"embedding_spread": embedding_spread(wanted.flatten(1))}

    def after_step(self, progress: Progress) -> None:
        """EMA update of the target encoder, with a momentum that rises in equal steps."""
        start, end = self.params.target_momentum, self.params.target_momentum_end
        momentum = progress.scheduled(lambda at: start + (end - start) * at.fraction)
        ema_update(self.target_encoder.backbone, self.backbone, momentum)


def build(params: IJEPAParams, context: BuildContext) -> IJEPA:
    """Raises UserError where heads do not divide the predictor."""
    return IJEPA(params, context.backbone, context.image_size)


# Not published: predictors for narrower backbones, and rates for fewer steps.
CIFAR = {
    "predictor_dim": 96,
    "predictor_depth": 4,
    "predictor_heads": 3,
    "lr": 1e-3,
    "lr_batch": 256,
    "warmup_epochs": 10,
}
IMAGENETTE = {
    "predictor_dim": 192,
    "predictor_depth": 6,
    "predictor_heads": 6,
    "lr": 5e-4,
    "lr_batch": 256,
}
QUICK = {
    "predictor_dim": 48,
    "predictor_depth": 2,
    "predictor_heads": 3,
    "target_momentum": 0.9,
    "lr": 2e-3,
    "lr_batch": 0,
    "lr_end": 0,
    "weight_decay": 0.05,
    "weight_decay_end": None,
    "warmup_epochs": 1,
}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="ijepa",
            params=IJEPAParams,
            build=build,
            uses=frozenset({"backbone", "augmentation", "masking"}),
            needs=frozenset({"tokens"}),
            augmentation="mae:crop_scale_min=0.3,flip=0",
            masking="multi-block",
            presets={"cifar": CIFAR, "imagenette": IMAGENETTE, "quick": QUICK},
            citation="Assran et al.: Self-Supervised Learning from Images with a Joint-Embedding Predictive"
            " Architecture, CVPR 2023",
        )
    ]
