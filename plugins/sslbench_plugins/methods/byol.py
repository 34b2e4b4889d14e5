"""BYOL: self-distillation; predict the projection of another view by a momentum encoder (EMA target); no negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslbench import Backbone, Method, MethodParams, MethodSpec, Progress, ViewRequest, cosine, hookimpl, param
from sslbench_plugins.blocks.networks.projector import per_view, projector
from sslbench_plugins.blocks.objectives.moving_average import ema_copy, ema_update
from sslbench_plugins.blocks.objectives.self_distillation import embedding_spread


class BYOLParams(MethodParams):
    """Defaults: Grill et al. 2020, section 3.3, for 300 epochs (the authors' `configs/byol.py`).

    Ablations take away what prevents collapse: ``predictor=false``, ``stop_gradient=false`` (the network is its own
    target, gradients on both sides), ``target_momentum=0,target_momentum_end=0`` (the target is the online network of
    the last step).
    """

    predictor: bool = param(True, "predict the target's projection; false: compare projections directly")
    stop_gradient: bool = param(True, "learn nothing through the target; false: the network is its own target")
    target_momentum: float = param(0.99, "of the target's moving average at the start", ge=0, le=1)
    target_momentum_end: float = param(1.0, "the same at the end of a cosine", ge=0, le=1)
    hidden_dim: int = param(4096, "hidden width of projector and predictor", ge=1)
    dim: int = param(256, "width of the projection", ge=1)
    optimizer: Literal["adamw", "sgd", "lars"] = param("lars", "update rule")
    lr: float = param(0.3, "base learning rate", gt=0)
    weight_decay: float = param(1e-6, "weight decay", ge=0)
    warmup_epochs: float = param(10, "linear warm-up before the cosine decay", ge=0, unit="epochs")
    lars_momentum: Literal["inside", "outside"] = param(
        "outside", "lars: learning rate inside the momentum buffer (SimCLR) or outside (BYOL, MoCo v3)"
    )


class BYOL(Method):
    """Online encoder f, projector g, predictor q; the target f', g' is their moving average. Views v1, v2:
    ``loss = 4 - 2 cos(q(g(f(v1))), g'(f'(v2))) - 2 cos(q(g(f(v2))), g'(f'(v1)))``.

    The target starts as a copy of the online network (the authors' code draws another initialisation).
    """

    def __init__(self, params: BYOLParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self.image_size = image_size
        self.backbone = backbone
        self.projector = projector(backbone.feature_dim, params.hidden_dim, params.dim, 2, "bare")
        self.predictor: nn.Module = nn.Identity()
        if params.predictor:
            self.predictor = projector(params.dim, params.hidden_dim, params.dim, 2, "bare")
        if params.stop_gradient:
            self.target_backbone, self.target_projector = ema_copy(self.backbone), ema_copy(self.projector)

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),) * 2

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Two views ``[B, 3, S, S]`` -> the loss, and how far apart the projections point."""
        online = per_view(self.projector, per_view(self.backbone, views))
        if self.params.stop_gradient:
            with torch.no_grad():
                target = per_view(self.target_projector, per_view(self.target_backbone, views))
        else:
            target = online
        predicted = per_view(self.predictor, online)
        loss = regression(predicted[0], target[1]) + regression(predicted[1], target[0])
        return loss, {"embedding_spread": embedding_spread(online[0])}

    def after_step(self, progress: Progress) -> None:
        """EMA update of the target, with a momentum that rises on a cosine."""
        if self.params.stop_gradient:
            start, end = self.params.target_momentum, self.params.target_momentum_end
            momentum = progress.scheduled(lambda at: cosine(start, end, at.fraction))
            ema_update(self.target_backbone, self.backbone, momentum)
            ema_update(self.target_projector, self.projector, momentum)


def regression(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of the squared distance of unit vectors, ``2 - 2 cos``: two ``[B, D]`` -> a scalar."""
    return (2 - 2 * functional.cosine_similarity(predicted.float(), target.float(), dim=1)).mean()


# lightly's CIFAR-10 benchmark: constant momentum, SGD. Its loss is half the sum of negative cosines, a quarter of this
# one: a quarter of its rate (0.06) and four times its decay (5e-4) take the same steps.
CIFAR = {
    "target_momentum": 0.99,
    "target_momentum_end": 0.99,
    "hidden_dim": 1024,
    "optimizer": "sgd",
    "lr": 0.015,
    "lr_batch": 128,
    "weight_decay": 2e-3,
    "decay_all": True,
    "schedule": "epoch",
    "warmup_epochs": 0,
}
QUICK = {
    "target_momentum": 0.95,
    "target_momentum_end": 0.99,
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
            name="byol",
            params=BYOLParams,
            build=lambda params, context: BYOL(params, context.backbone, context.image_size),
            augmentation="byol",
            presets={"cifar": CIFAR, "quick": QUICK},
            citation="Grill et al.: Bootstrap Your Own Latent, NeurIPS 2020",
        )
    ]
