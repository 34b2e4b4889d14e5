"""LeJEPA: joint-embedding prediction, kept from collapse by a Gaussian regulariser (SIGReg) without any teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sslbench import Backbone, Method, MethodParams, MethodSpec, Progress, ViewRequest, hookimpl, param
from sslbench_plugins.blocks.networks.projector import projector
from sslbench_plugins.blocks.objectives.numerics import full_precision
from sslbench_plugins.blocks.objectives.self_distillation import by_size, embedding_spread
from sslbench_plugins.blocks.objectives.sigreg import sigreg, unit_slices
from sslbench_plugins.blocks.views.small_crops import small_crop


class LeJEPAParams(MethodParams):
    """Defaults: Balestriero and LeCun 2025, ImageNet; head and warm-up: the authors' small example (`MINIMAL.md`)."""

    sigreg: float = param(0.05, "share of SIGReg in the loss, the paper's lambda; the rest is prediction", ge=0, le=1)
    slices: int = param(1024, "random directions that SIGReg looks along in a step", ge=1)
    knots: int = param(17, "points at which it compares characteristic functions, 0 and `knot_reach` included", ge=2)
    knot_reach: float = param(3.0, "the last of these points", gt=0)
    global_views: int = param(2, "large views, whose mean is predicted from every view", ge=1)
    local_views: int = param(6, "small views beside them", ge=0)
    local_size: int = param(0, "side of a small view; 0: three sevenths of the image", ge=0, unit="px")
    projector_layers: int = param(3, "linear layers of the projection head, batch norm and ReLU between them", ge=1)
    hidden_dim: int = param(2048, "hidden width of the projection head", ge=1)
    projector_dim: int = param(16, "width of the embedding that the loss sees", ge=1)
    lr: float = param(5e-4, "base learning rate", gt=0)
    lr_batch: int = param(0, "batch size that `lr` is meant for; 0: use `lr` as it is", ge=0, unit="images")
    lr_end: float = param(5e-7, "learning rate at the end of the cosine", ge=0)
    weight_decay: float = param(0.05, "weight decay", ge=0)
    warmup_epochs: float = param(1, "linear warm-up before the cosine decay", ge=0, unit="epochs")


class LeJEPA(Method):
    """Embeddings z of V views: ``(1 - lambda) * mean |mean of the global z - z|^2 + lambda * SIGReg(z)``."""

    def __init__(self, params: LeJEPAParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self.image_size = image_size
        self.local_size = small_crop("lejepa", params.local_views, params.local_size, backbone, image_size)
        self.backbone = backbone
        dims = backbone.feature_dim, params.hidden_dim, params.projector_dim
        self.projector = projector(*dims, params.projector_layers, last="biased")

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        large, small = ViewRequest("global", self.image_size), ViewRequest("local", self.local_size)
        return (large,) * self.params.global_views + (small,) * self.params.local_views

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """V views ``[B, 3, S, S]``, the global ones first -> the loss; its two terms, and how far apart images are."""
        p, step = self.params, progress.scheduled(lambda at: at.step)
        # One pass for all views of a size; the head's batch statistics are of all views, as in the authors' example.
        features = torch.cat([self.backbone(torch.cat(group)) for group in by_size(views)])
        embeddings = self.projector(features).unflatten(0, (len(views), -1))
        with full_precision(embeddings):
            prediction = prediction_loss(embeddings.float(), p.global_views)
        slices = unit_slices(p.projector_dim, p.slices, step, embeddings.device)
        regulariser = sigreg(embeddings, slices, p.knots, p.knot_reach)
        loss = (1 - p.sigreg) * prediction + p.sigreg * regulariser
        return loss, {
            "prediction": prediction.detach(),
            "sigreg": regulariser.detach(),
            "embedding_spread": embedding_spread(embeddings[0]),
        }


def prediction_loss(embeddings: Tensor, global_views: int) -> Tensor:
    """Mean squared difference between each view's embedding, ``[V, B, D]``, and the mean of the image's first
    ``global_views``. The gradient flows through both."""
    return (embeddings[:global_views].mean(dim=0) - embeddings).square().mean()


# The authors' small example: ViT-S/8 on Imagenette at 128 px, batch 256, 800 epochs; four views of one kind.
IMAGENETTE = {
    "sigreg": 0.02,
    "slices": 256,
    "global_views": 4,
    "local_views": 0,
    "lr": 2e-3,
    "lr_end": 1e-3,
}
# Not published: the small example's, for a ResNet-18 on images of 32 px.
CIFAR = {**IMAGENETTE, "lr_end": 0.0}
QUICK = {**CIFAR, "hidden_dim": 128, "weight_decay": 1e-4}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="lejepa",
            params=LeJEPAParams,
            build=lambda params, context: LeJEPA(params, context.backbone, context.image_size),
            augmentation="lejepa",
            view_kinds=lambda params: frozenset({"global", "local"} if params.local_views else {"global"}),
            presets={"cifar": CIFAR, "imagenette": IMAGENETTE, "quick": QUICK},
            citation="Balestriero, LeCun: LeJEPA: Provable and Scalable Self-Supervised Learning Without the"
            " Heuristics, 2025",
        )
    ]
