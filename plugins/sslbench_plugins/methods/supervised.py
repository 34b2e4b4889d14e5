"""Baseline: supervised training from scratch, on the labels of the training split that other methods do not use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from sslbench import Backbone, Method, MethodParams, MethodSpec, Progress, ViewRequest, hookimpl, param


class SupervisedParams(MethodParams):
    """Defaults: He et al. 2016, section 3.4, with a cosine in the place of steps."""

    label_smoothing: float = param(0.0, "share of the target spread over all classes", ge=0, lt=1)
    optimizer: Literal["adamw", "sgd", "lars"] = param("sgd", "update rule")
    lr: float = param(0.1, "base learning rate", gt=0)
    weight_decay: float = param(1e-4, "weight decay", ge=0)


class Supervised(Method):
    """One linear layer on the backbone, cross-entropy with the label. The backbone is evaluated."""

    def __init__(self, params: SupervisedParams, backbone: Backbone, image_size: int, classes: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.label_smoothing = params.label_smoothing
        self.backbone = backbone
        self.head = nn.Linear(backbone.feature_dim, classes)

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),)

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress, labels: Tensor | None = None
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """One view ``[B, 3, S, S]`` and labels, int64 ``[B]`` -> the loss."""
        assert labels is not None
        logits = self.head(self.backbone(views[0])).float()
        return functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing), {}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="supervised",
            params=SupervisedParams,
            build=lambda params, context: Supervised(params, context.backbone, context.image_size, context.classes),
            uses_labels=True,
            augmentation="crop-only",
            presets={
                # Section 4.2 of the paper.
                "cifar": {"lr_batch": 128},
                "quick": {"optimizer": "adamw", "lr": 2e-3, "lr_batch": 0, "warmup_epochs": 1},
            },
            citation="He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016",
        )
    ]
