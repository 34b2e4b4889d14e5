"""SimCLR: contrastive learning; two views of an image attract, all other images of the batch are negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, cat, nn

from sslbench import Backbone, Method, MethodParams, MethodSpec, Progress, ViewRequest, hookimpl, param
from sslbench_plugins.blocks.networks.projector import projector
from sslbench_plugins.blocks.objectives.contrast import nt_xent


class SimCLRParams(MethodParams):
    """Defaults: Chen et al. 2020, section 2.3 and appendix B, and the authors' code (`run.py`)."""

    temperature: float = param(0.1, "temperature of NT-Xent", gt=0)
    projector_layers: int = param(2, "layers of the projection head", ge=1)
    projector_dim: int = param(128, "width of the embedding that the loss compares", ge=1)
    optimizer: Literal["adamw", "sgd", "lars"] = param("lars", "update rule")
    lr: float = param(0.3, "base learning rate", gt=0)
    weight_decay: float = param(1e-6, "weight decay", ge=0)
    warmup_epochs: float = param(10, "linear warm-up before the cosine decay", ge=0, unit="epochs")


class SimCLR(Method):
    """Encoder f, projector g, views x1 and x2 of each image: ``loss = nt_xent(g(f(x1)), g(f(x2)))``."""

    def __init__(self, params: SimCLRParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.temperature = params.temperature
        self.image_size = image_size
        self.backbone = backbone
        dim = backbone.feature_dim
        self.projector = projector(dim, dim, params.projector_dim, params.projector_layers)

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),) * 2

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Two views ``[N, 3, S, S]`` -> the loss."""
        # One forward over both views: batch statistics are of 2N images, as in the authors' code.
        first, second = self.projector(self.backbone(cat(list(views)))).chunk(2)
        return nt_xent(first, second, self.temperature), {}


# lightly's CIFAR-10 benchmark. The paper's own (appendix B.9) is for ResNet-50: LARS as by default, temperature 0.5.
CIFAR = {
    "temperature": 0.5,
    "optimizer": "sgd",
    "lr": 0.06,
    "lr_batch": 128,
    "weight_decay": 5e-4,
    "decay_all": True,
    "schedule": "epoch",
    "warmup_epochs": 0,
}
QUICK = {"temperature": 0.5, "optimizer": "adamw", "lr": 2e-3, "lr_batch": 0, "weight_decay": 1e-4, "warmup_epochs": 1}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="simclr",
            params=SimCLRParams,
            build=lambda params, context: SimCLR(params, context.backbone, context.image_size),
            augmentation="simclr",
            presets={"cifar": CIFAR, "quick": QUICK},
            citation="Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual"
            " Representations, ICML 2020",
        )
    ]
