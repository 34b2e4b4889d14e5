"""VICReg: invariance of two views, regularised by variance and covariance of the batch; no teacher, no negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from sslbench import Backbone, Method, MethodParams, MethodSpec, Progress, UserError, ViewRequest, hookimpl, param
from sslbench_plugins.blocks.networks.projector import per_view, projector
from sslbench_plugins.blocks.objectives.redundancy import (
    covariance,
    covariance_term,
    effective_dimensions,
    variance_term,
)


class VICRegParams(MethodParams):
    """Defaults: Bardes et al. 2022, section 4.2, and the authors' `main_vicreg.py`.

    Ablations take a term away: without ``variance_weight`` all images get one embedding, without
    ``covariance_weight`` dimensions repeat each other, without ``invariance_weight`` views of an image differ.
    """

    invariance_weight: float = param(25.0, "of the squared distance of two views' embeddings (lambda)", ge=0)
    variance_weight: float = param(25.0, "of the hinge on each dimension's deviation (mu)", ge=0)
    covariance_weight: float = param(1.0, "of the squared covariances of dimensions (nu)", ge=0)
    gamma: float = param(1.0, "deviation over the batch that each dimension should have", gt=0)
    epsilon: float = param(1e-4, "added to a variance before its root", gt=0)
    expander_layers: int = param(3, "layers of the expander", ge=1)
    hidden_dim: int = param(8192, "hidden width of the expander", ge=1)
    dim: int = param(8192, "width of the embedding", ge=1)
    optimizer: Literal["adamw", "sgd", "lars"] = param("lars", "update rule")
    lr: float = param(0.2, "base learning rate", gt=0)
    lr_end: float = param(0.002, "learning rate at the end of the cosine", ge=0)
    weight_decay: float = param(1e-6, "weight decay", ge=0)
    warmup_epochs: float = param(10, "linear warm-up before the cosine decay", ge=0, unit="epochs")
    lars_momentum: Literal["inside", "outside"] = param(
        "outside", "lars: learning rate inside the momentum buffer (SimCLR) or outside (BYOL, MoCo v3)"
    )


class VICReg(Method):
    """Encoder f, expander h: embeddings Z = h(f(x)), Z' = h(f(x')) of two views; s invariance, v variance, c
    covariance: ``loss = lambda s(Z, Z') + mu (v(Z) + v(Z')) / 2 + nu (c(Z) + c(Z'))``, as in the authors' code."""

    def __init__(self, params: VICRegParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self.image_size = image_size
        self.backbone = backbone
        dim = backbone.feature_dim
        self.expander = projector(dim, params.hidden_dim, params.dim, params.expander_layers, "bare")

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),) * 2

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Two views ``[B, 3, S, S]`` -> the loss; its terms without their weights, the root of the embeddings' mean
        variance as a share of gamma (at most 1), and how many dimensions they spread over."""
        p = self.params
        first, second = (z.float() for z in per_view(self.expander, per_view(self.backbone, views)))
        matrices = covariance(first), covariance(second)
        invariance = functional.mse_loss(first, second)
        of_first, of_second = (variance_term(matrix, p.gamma, p.epsilon) for matrix in matrices)
        variance = (of_first + of_second) / 2
        redundancy = covariance_term(matrices[0]) + covariance_term(matrices[1])
        loss = p.invariance_weight * invariance + p.variance_weight * variance + p.covariance_weight * redundancy
        return loss, {
            "invariance": invariance.detach(),
            "variance": variance.detach(),
            "covariance": redundancy.detach(),
            "embedding_spread": (matrices[0].diagonal().mean().sqrt() / p.gamma).clamp(max=1).detach(),
            "embedding_dimensions": effective_dimensions(matrices[0]),
        }

    def check_batch(self, batch_size: int) -> None:
        """Raises UserError for a single image: it has no variance."""
        super().check_batch(batch_size)
        if batch_size < 2:
            raise UserError("method 'vicreg': the variance of a batch needs 2 images or more at once; this one has 1")


# solo-learn's CIFAR widths; the rate of the paper's appendix for a batch of 512.
CIFAR = {"hidden_dim": 2048, "dim": 2048, "lr": 0.4}
# lightly's Imagenette benchmark (ResNet-18, 128 px, batch 256, 200 epochs).
IMAGENETTE = {
    "hidden_dim": 2048,
    "dim": 2048,
    "lr": 0.3,
    "lr_end": 3e-4,
    "weight_decay": 1e-4,
    "warmup_epochs": 20,
}
QUICK = {
    "hidden_dim": 256,
    "dim": 256,
    "optimizer": "adamw",
    "lr": 2e-3,
    "lr_batch": 0,
    "lr_end": 0,
    "weight_decay": 1e-4,
    "warmup_epochs": 1,
}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="vicreg",
            params=VICRegParams,
            build=lambda params, context: VICReg(params, context.backbone, context.image_size),
            augmentation="byol",
            presets={"cifar": CIFAR, "imagenette": IMAGENETTE, "quick": QUICK},
            citation="Bardes, Ponce, LeCun: VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised"
            " Learning, ICLR 2022",
        )
    ]
