"""SimSiam: a siamese network predicts its projection of the other view, with stop-gradient; no negatives, no EMA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional

from sslbench import Backbone, Method, MethodParams, MethodSpec, Progress, ViewRequest, hookimpl, param
from sslbench_plugins.blocks.networks.projector import per_view, projector
from sslbench_plugins.blocks.objectives.self_distillation import embedding_spread


class SimSiamParams(MethodParams):
    """Defaults: Chen and He 2021, section 3 and the authors' `main_simsiam.py`."""

    predictor: bool = param(True, "predict the other projection; false: compare projections directly")
    stop_gradient: bool = param(True, "learn nothing through the side that is predicted")
    projector_layers: int = param(3, "layers of the projector", ge=1)
    hidden_dim: int = param(0, "hidden width of the projector; 0: the backbone's, as in the authors' code", ge=0)
    projector_dim: int = param(2048, "width of the projection", ge=1)
    predictor_dim: int = param(512, "hidden width of the predictor", ge=1)
    constant_predictor_lr: bool = param(True, "leave the predictor's learning rate at its base")
    optimizer: Literal["adamw", "sgd", "lars"] = param("sgd", "update rule")
    lr: float = param(0.05, "base learning rate", gt=0)
    weight_decay: float = param(1e-4, "weight decay", ge=0)
    decay_all: bool = param(True, "decay biases and norms as well")
    schedule: Literal["step", "epoch"] = param("epoch", "how often the learning rate changes")


class SimSiam(Method):
    """Encoder f with projector, predictor h:
    ``loss = -cos(h(f(v1)), stop(f(v2))) / 2 - cos(h(f(v2)), stop(f(v1))) / 2``."""

    def __init__(self, params: SimSiamParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self.image_size = image_size
        self.backbone = backbone
        dim = params.projector_dim
        hidden = params.hidden_dim or backbone.feature_dim
        self.projector = projector(backbone.feature_dim, hidden, dim, params.projector_layers, "plain")
        self.predictor: nn.Module = nn.Identity()
        if params.predictor:
            self.predictor = projector(dim, params.predictor_dim, dim, 2, "biased")

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
        z1, z2 = per_view(self.projector, per_view(self.backbone, views))
        p1, p2 = per_view(self.predictor, [z1, z2])
        if self.params.stop_gradient:
            z1, z2 = z1.detach(), z2.detach()
        return (distance(p1, z2) + distance(p2, z1)) / 2, {"embedding_spread": embedding_spread(z1)}

    def param_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """The default groups, each split in two: the predictor's learning rate may stay constant."""
        groups = super().param_groups(weight_decay)
        if not self.params.constant_predictor_lr:
            return groups
        predictor = {id(p) for p in self.predictor.parameters()}
        split = []
        for group in groups:
            split += [
                {**group, "params": [p for p in group["params"] if id(p) not in predictor]},
                {**group, "params": [p for p in group["params"] if id(p) in predictor], "constant_lr": True},
            ]
        return split


def distance(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of the negative cosine: two ``[B, D]`` -> a scalar from -1 to 1."""
    return -functional.cosine_similarity(predicted.float(), target.float(), dim=1).mean()


QUICK = {
    "hidden_dim": 256,
    "projector_dim": 256,
    "predictor_dim": 64,
    "optimizer": "adamw",
    "lr": 2e-3,
    "lr_batch": 0,
    "decay_all": False,
    "schedule": "step",
    "warmup_epochs": 1,
}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="simsiam",
            params=SimSiamParams,
            build=lambda params, context: SimSiam(params, context.backbone, context.image_size),
            augmentation="moco-v2",
            presets={
                # Appendix D of the paper: a shallower projector, a smaller rate, more decay.
                "cifar": {"projector_layers": 2, "hidden_dim": 2048, "lr": 0.03, "weight_decay": 5e-4},
                "quick": QUICK,
            },
            citation="Chen, He: Exploring Simple Siamese Representation Learning, CVPR 2021",
        )
    ]
