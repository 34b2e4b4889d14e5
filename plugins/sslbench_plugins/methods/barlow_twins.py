"""Barlow Twins: redundancy reduction; the cross-correlation of two views' embeddings is driven to the identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor, nn

from sslbench import Backbone, Method, MethodParams, MethodSpec, Progress, UserError, ViewRequest, hookimpl, param
from sslbench_plugins.blocks.networks.projector import per_view, projector
from sslbench_plugins.blocks.objectives.redundancy import cross_correlation, off_diagonal_term, on_diagonal_term
from sslbench_plugins.blocks.objectives.self_distillation import embedding_spread


class BarlowTwinsParams(MethodParams):
    """Defaults: Zbontar et al. 2021, section 2 and the authors' `main.py`.

    Ablations (sections 4 and 5): one of the two terms, other normalisations, a projector without batch norm, and the
    asymmetries of other methods, which it does not need: ``predictor``, ``stop_gradient``.
    """

    invariance_weight: float = param(1.0, "of the diagonal's distance from 1", ge=0)
    redundancy_weight: float = param(0.0051, "of the squares beside the diagonal (lambda)", ge=0)
    normalise: Literal["batch", "features", "none"] = param(
        "batch", "mean 0 and deviation 1 of each dimension over the batch, of each image over its features, or neither"
    )
    projector_layers: int = param(3, "layers of the projector", ge=1)
    projector_norm: bool = param(True, "batch norm in the projector")
    hidden_dim: int = param(8192, "hidden width of the projector", ge=1)
    dim: int = param(8192, "width of the embedding", ge=1)
    predictor: bool = param(False, "ablation: a predictor of two layers on the first view's embedding")
    stop_gradient: bool = param(False, "ablation: learn nothing through the second view")
    optimizer: Literal["adamw", "sgd", "lars"] = param("lars", "update rule")
    lr: float = param(0.2, "base learning rate of weights", gt=0)
    bias_lr: float = param(0.0048, "base learning rate of biases and norms; 0: as of weights", ge=0)
    lr_end: float = param(0.0016, "learning rate at the end of the cosine", ge=0)
    weight_decay: float = param(1e-6, "weight decay", ge=0)
    warmup_epochs: float = param(10, "linear warm-up before the cosine decay", ge=0, unit="epochs")
    lars_momentum: Literal["inside", "outside"] = param(
        "outside", "lars: learning rate inside the momentum buffer (SimCLR) or outside (BYOL, MoCo v3)"
    )


class BarlowTwins(Method):
    """Embeddings Z^A, Z^B of two views, each dimension normalised over the batch, and C their cross-correlation
    ``[D, D]``: ``loss = sum_i (1 - C_ii)^2 + lambda sum_{i != j} C_ij^2`` (equation 1)."""

    def __init__(self, params: BarlowTwinsParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self.image_size = image_size
        self.backbone = backbone
        layers = projector(backbone.feature_dim, params.hidden_dim, params.dim, params.projector_layers, "bare")
        self.projector = layers if params.projector_norm else without_norms(layers)
        self.predictor: nn.Module = nn.Identity()
        if params.predictor:
            self.predictor = projector(params.dim, params.dim, params.dim, 2, "bare")

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),) * 2

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Two views ``[B, 3, S, S]`` -> the loss; its terms without their weights, and how far apart embeddings
        point."""
        first, second = per_view(self.projector, per_view(self.backbone, views))
        if self.params.stop_gradient:
            second = second.detach()
        matrix = cross_correlation(self.predictor(first), second, self.params.normalise)
        invariance, redundancy = on_diagonal_term(matrix), off_diagonal_term(matrix)
        loss = self.params.invariance_weight * invariance + self.params.redundancy_weight * redundancy
        return loss, {
            "invariance": invariance.detach(),
            "redundancy": redundancy.detach(),
            "embedding_spread": embedding_spread(first),
        }

    def check_batch(self, batch_size: int) -> None:
        """Raises UserError for a single image: it has no correlation."""
        super().check_batch(batch_size)
        if batch_size < 2:
            need = "the correlation over a batch needs 2 images or more at once; this one has 1"
            raise UserError(f"method 'barlow-twins': {need}")

    def param_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """The default groups; biases and norms have a learning rate of their own."""
        weights, others = super().param_groups(weight_decay)
        scale = self.params.bias_lr / self.params.lr if self.params.bias_lr else 1.0
        return [weights, {**others, "lr_scale": scale}]


def without_norms(layers: nn.Sequential) -> nn.Sequential:
    """The projector without its batch norms; a linear layer that stood before one gets a bias."""
    parts: list[nn.Module] = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(following, nn.BatchNorm1d) and isinstance(layer, nn.Linear):
            parts.append(nn.Linear(layer.in_features, layer.out_features))
        elif not isinstance(layer, nn.BatchNorm1d):
            parts.append(layer)
    return nn.Sequential(*parts)


# lightly's benchmarks: on CIFAR-10 with a shallower projector, on Imagenette (ResNet-18, 128 px, batch 256) with the
# paper's depth.
LIGHTLY = {
    "redundancy_weight": 0.005,
    "hidden_dim": 2048,
    "dim": 2048,
    "optimizer": "sgd",
    "lr": 0.06,
    "bias_lr": 0,
    "lr_end": 0,
    "weight_decay": 5e-4,
    "decay_all": True,
    "schedule": "epoch",
    "warmup_epochs": 0,
}
QUICK = {
    "hidden_dim": 256,
    "dim": 256,
    "optimizer": "adamw",
    "lr": 2e-3,
    "bias_lr": 0,
    "lr_batch": 0,
    "lr_end": 0,
    "weight_decay": 1e-4,
    "warmup_epochs": 1,
}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="barlow-twins",
            params=BarlowTwinsParams,
            build=lambda params, context: BarlowTwins(params, context.backbone, context.image_size),
            augmentation="byol",
            presets={
                "cifar": {**LIGHTLY, "projector_layers": 2, "lr_batch": 128},
                "imagenette": LIGHTLY,
                "quick": QUICK,
            },
            citation="Zbontar, Jing, Misra, LeCun, Deny: Barlow Twins: Self-Supervised Learning via Redundancy"
            " Reduction, ICML 2021",
        )
    ]
