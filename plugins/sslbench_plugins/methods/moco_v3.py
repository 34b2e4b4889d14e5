"""MoCo v3: contrastive learning with a momentum encoder and a predictor; the batch's other images are negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslbench import (
    Backbone,
    Method,
    MethodParams,
    MethodSpec,
    Progress,
    TokenBackbone,
    ViewRequest,
    cosine,
    gathered,
    hookimpl,
    param,
    rank,
)
from sslbench_plugins.blocks.networks.projector import per_view, projector
from sslbench_plugins.blocks.objectives.contrast import contrast
from sslbench_plugins.blocks.objectives.moving_average import ema_copy, ema_update
from sslbench_plugins.blocks.objectives.numerics import full_precision


class MoCoV3Params(MethodParams):
    """Defaults: ResNet-50 for 300 epochs (the authors' `CONFIG.md`); the preset `vit` is their ViT-B."""

    temperature: float = param(1.0, "temperature of the loss", gt=0)
    key_momentum: float = param(0.99, "of the key encoder's moving average at the start", ge=0, le=1)
    key_momentum_end: float = param(1.0, "the same at the end of a cosine", ge=0, le=1)
    projector_layers: int = param(2, "layers of the projector", ge=1)
    hidden_dim: int = param(4096, "hidden width of projector and predictor", ge=1)
    dim: int = param(256, "width of the embedding that the loss compares", ge=1)
    predictor_norm: bool = param(False, "batch norm after the predictor's last layer")
    freeze_patch_embedding: bool = param(True, "leave a transformer's patch projection as it is initialised")
    optimizer: Literal["adamw", "sgd", "lars"] = param("lars", "update rule")
    lr: float = param(0.3, "base learning rate", gt=0)
    weight_decay: float = param(1e-6, "weight decay", ge=0)
    warmup_epochs: float = param(10, "linear warm-up before the cosine decay", ge=0, unit="epochs")
    lars_momentum: Literal["inside", "outside"] = param(
        "outside", "lars: learning rate inside the momentum buffer (SimCLR) or outside (BYOL, MoCo v3)"
    )


class MoCoV3(Method):
    """Query encoder with predictor: q1, q2; momentum encoder: k1, k2.
    ``loss = ctr(q1, k2) + ctr(q2, k1)``, ``ctr = 2 T * cross-entropy`` of the positive among the batch's keys."""

    def __init__(self, params: MoCoV3Params, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self.image_size = image_size
        self.backbone = backbone
        if params.freeze_patch_embedding and isinstance(backbone, TokenBackbone):
            for name, parameter in backbone.named_parameters():
                if "patch_embed" in name:
                    parameter.requires_grad_(False)
        self.projector = projector(
            backbone.feature_dim, params.hidden_dim, params.dim, params.projector_layers, "plain"
        )
        last: Literal["plain", "bare"] = "plain" if params.predictor_norm else "bare"
        self.predictor = projector(params.dim, params.hidden_dim, params.dim, 2, last)
        self.key_backbone, self.key_projector = ema_copy(self.backbone), ema_copy(self.projector)

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),) * 2

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Two views ``[B, 3, S, S]`` -> the loss."""
        q1, q2 = per_view(self.predictor, per_view(self.projector, per_view(self.backbone, views)))
        with torch.no_grad():
            k1, k2 = per_view(self.key_projector, per_view(self.key_backbone, views))
        return self.contrastive_loss(q1, k2) + self.contrastive_loss(q2, k1), {}

    def contrastive_loss(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Queries and keys ``[B, dim]``, row i of one the positive of row i of the other -> ``ctr``, a scalar."""
        queries, keys = (functional.normalize(x.float(), dim=1) for x in (queries, keys))
        positives = torch.arange(len(queries), device=queries.device) + len(queries) * rank()
        with full_precision(queries):
            loss = contrast(queries, gathered(keys), positives, self.params.temperature)
        return 2 * self.params.temperature * loss

    def after_step(self, progress: Progress) -> None:
        """EMA update of the key encoder, with a momentum that rises on a cosine."""
        start, end = self.params.key_momentum, self.params.key_momentum_end
        momentum = progress.scheduled(lambda at: cosine(start, end, at.fraction))
        ema_update(self.key_backbone, self.backbone, momentum)
        ema_update(self.key_projector, self.projector, momentum)


VIT = {
    "temperature": 0.2,
    "projector_layers": 3,
    "predictor_norm": True,
    "optimizer": "adamw",
    "lr": 1.5e-4,
    "weight_decay": 0.1,
    "decay_all": True,
    "warmup_epochs": 40,
}
# Not published: the optimizer of lightly's CIFAR-10 benchmark with the temperature of the authors' ViT.
CIFAR = {
    "temperature": 0.2,
    "hidden_dim": 1024,
    "optimizer": "sgd",
    "lr": 0.06,
    "lr_batch": 128,
    "weight_decay": 5e-4,
    "warmup_epochs": 0,
}
QUICK = {
    "temperature": 0.2,
    "hidden_dim": 256,
    "dim": 64,
    "optimizer": "adamw",
    "lr": 2e-3,
    "lr_batch": 0,
    "weight_decay": 1e-4,
    "warmup_epochs": 1,
}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="moco-v3",
            params=MoCoV3Params,
            build=lambda params, context: MoCoV3(params, context.backbone, context.image_size),
            augmentation="byol",
            presets={"vit": VIT, "cifar": CIFAR, "quick": QUICK},
            citation="Chen, Xie, He: An Empirical Study of Training Self-Supervised Vision Transformers, ICCV 2021",
        )
    ]
