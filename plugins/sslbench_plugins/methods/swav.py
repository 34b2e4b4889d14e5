"""SwAV: online clustering; predict the code of one view, its assignment to prototypes in equal shares, from others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslbench import (
    Backbone,
    Method,
    MethodParams,
    MethodSpec,
    Progress,
    ViewRequest,
    hookimpl,
    mean_over_ranks,
    param,
    ranks,
)
from sslbench_plugins.blocks.networks.projector import projector
from sslbench_plugins.blocks.networks.student_teacher import crop_requests
from sslbench_plugins.blocks.objectives.feature_queue import FeatureQueue
from sslbench_plugins.blocks.objectives.numerics import full_precision
from sslbench_plugins.blocks.objectives.self_distillation import by_size, embedding_spread, self_distillation
from sslbench_plugins.blocks.objectives.sinkhorn import sinkhorn

ASSIGNED = 2
"""large crops, which alone are given codes"""


class SwAVParams(MethodParams):
    """Defaults: Caron et al. 2020, section 4 and appendix A, for batches of 4096; the preset `small-batch` is for 256.

    Ablations: ``sinkhorn_iterations=0`` gives up equal shares of the prototypes, and with them what prevents collapse;
    ``hard_codes``, ``local_crops=0``, ``freeze_prototypes=0``, ``queue_size``.
    """

    prototypes: int = param(3000, "prototypes, the clusters' centres", ge=2)
    hidden_dim: int = param(2048, "hidden width of the projector", ge=1)
    dim: int = param(128, "width of the embedding", ge=1)
    temperature: float = param(0.1, "temperature of the predictions", gt=0)
    epsilon: float = param(0.05, "smoothness of the codes", gt=0)
    sinkhorn_iterations: int = param(3, "rounds of equal shares; 0: each code is a softmax", ge=0)
    hard_codes: bool = param(False, "round each code to its largest entry")
    local_crops: int = param(6, "small crops beside the two large ones", ge=0)
    local_size: int = param(0, "side of a small crop; 0: three sevenths of the image", ge=0, unit="px")
    queue_size: int = param(0, "embeddings of past batches that codes are shared among as well; 0: none", ge=0)
    queue_start: float = param(15, "epochs before the queue begins to fill; it is used when it is full", ge=0)
    freeze_prototypes: int = param(313, "steps at the start in which the prototypes stay", ge=0, unit="steps")
    optimizer: Literal["adamw", "sgd", "lars"] = param("lars", "update rule")
    lr: float = param(4.8, "base learning rate", gt=0)
    lr_batch: int = param(4096, "batch size that `lr` is meant for; 0: use `lr` as it is", ge=0, unit="images")
    lr_end: float = param(0.0048, "learning rate at the end of the cosine", ge=0)
    weight_decay: float = param(1e-6, "weight decay", ge=0)
    decay_all: bool = param(True, "decay biases and norms as well")
    warmup_epochs: float = param(10, "linear warm-up before the cosine decay", ge=0, unit="epochs")
    lars_momentum: Literal["inside", "outside"] = param(
        "outside", "lars: learning rate inside the momentum buffer (SimCLR) or outside (BYOL, MoCo v3)"
    )


class SwAV(Method):
    """Unit embeddings z, unit prototypes C, scores z C^T. The code q_t of a large crop t is made of its scores by
    Sinkhorn's iterations, among the batch and the queue; every other crop s predicts it:
    ``loss = mean over t and s != t of -sum_k q_t log softmax(z_s C^T / temperature)`` (section 3.1, equation 2)."""

    def __init__(self, params: SwAVParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self._views = crop_requests("swav", params, backbone, image_size)
        self.backbone = backbone
        self.projector = projector(backbone.feature_dim, params.hidden_dim, params.dim, 2, "biased")
        self.prototypes = nn.Parameter(torch.empty(params.prototypes, params.dim))
        nn.init.kaiming_uniform_(self.prototypes, a=5**0.5)
        self.normalise_prototypes()
        self.queue = FeatureQueue(params.queue_size, ASSIGNED * params.dim, empty=True) if params.queue_size else None
        """a row: the embeddings of both large crops of an image"""
        self._new: list[Tensor] = []
        """rows of this step's parts"""

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return self._views

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Crops, the two large ones first -> the loss; the codes' entropy in nats, how far apart they are, and how many
        prototypes they use."""
        # One pass for all crops of a size, which share batch statistics, as in the authors' code.
        queue = self.queue
        queued = progress.decision(lambda at: queue is not None and at.epoch >= self.params.queue_start)
        features = torch.cat([self.backbone(torch.cat(group)) for group in by_size(views)])
        embeddings = functional.normalize(self.projector(features).float(), dim=1).view(len(views), -1, self.params.dim)
        with full_precision(embeddings):
            scores = functional.linear(embeddings, self.prototypes)
            codes = self.codes(scores[:ASSIGNED], queued)
            loss = self_distillation(scores, codes, self.params.temperature)
        if queued:
            self._new.append(torch.cat([*embeddings[:ASSIGNED].detach()], dim=1))
        # In these collapse shows: all images on one prototype, or on all alike.
        return loss, {
            "code_entropy": torch.special.entr(codes).sum(dim=-1).mean(),
            "embedding_spread": embedding_spread(codes[0]),
            "prototypes_used": torch.special.entr(mean_over_ranks(codes[0].mean(dim=0))).sum().exp(),
        }

    @torch.no_grad()
    def codes(self, scores: Tensor, queued: bool) -> Tensor:
        """Scores of the large crops ``[2, B, K]`` -> their codes, of that shape, each crop's made by itself; with those
        of the queue where it is in use."""
        codes = []
        for crop, own in enumerate(scores):
            rows, weights = own, None
            if self.queue is not None and queued:
                past = self.queue.keys.chunk(ASSIGNED, dim=1)[crop]
                rows = torch.cat([own, functional.linear(past, self.prototypes)])
                # Every rank has the whole queue, so its rows count for a share on each; until it is full, for nothing.
                full = past[-1].any() / ranks()
                weights = torch.cat([torch.ones_like(own[:, 0]), full.expand(len(past))])
            code = sinkhorn(rows, self.params.epsilon, self.params.sinkhorn_iterations, weights)[: len(own)]
            codes.append(rounded(code) if self.params.hard_codes else code)
        return torch.stack(codes)

    def after_backward(self, progress: Progress) -> None:
        """Freeze the prototypes in the first steps."""
        if progress.decision(lambda at: at.step < self.params.freeze_prototypes):
            # No gradient at all: with a zero gradient, weight decay and momentum would still move them.
            self.prototypes.grad = None

    def after_step(self, progress: Progress) -> None:
        """Bring the prototypes back to unit length; then this batch's embeddings replace the oldest of the queue."""
        self.normalise_prototypes()
        if self.queue is not None:
            for rows in self._new:
                self.queue.put(rows)
        self._new.clear()

    @torch.no_grad()
    def normalise_prototypes(self) -> None:
        """Give each prototype unit length, in place."""
        self.prototypes.copy_(functional.normalize(self.prototypes, dim=1))

    def param_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """The default groups; under LARS biases and norms are adapted like weights, as in the authors' code."""
        groups = super().param_groups(weight_decay)
        return [{key: value for key, value in group.items() if key != "adapt"} for group in groups]


def rounded(codes: Tensor) -> Tensor:
    """``[B, K]`` -> 1 at the largest entry of each row, 0 elsewhere."""
    return functional.one_hot(codes.argmax(dim=1), codes.shape[1]).to(codes.dtype)


# The authors' script for 200 epochs at batch 256: a queue of fifteen batches, prototypes that stay for an epoch.
SMALL_BATCH = {
    "queue_size": 3840,
    "freeze_prototypes": 5005,
    "lr": 0.6,
    "lr_batch": 256,
    "lr_end": 0.0006,
    "warmup_epochs": 0,
}
# lightly's benchmarks: CIFAR-10 with two crops and 512 prototypes; Imagenette (ResNet-18, batch 256) with large crops
# of 128 px and small ones of 64. Its Adam decays by adding to the gradient, at 1e-6.
ADAM = {
    "freeze_prototypes": 0,
    "optimizer": "adamw",
    "lr": 1e-3,
    "lr_end": 0,
    "schedule": "epoch",
    "warmup_epochs": 0,
}
CIFAR = {**ADAM, "prototypes": 512, "hidden_dim": 512, "local_crops": 0, "lr_batch": 128}
IMAGENETTE = {**ADAM, "lr_batch": 256, "local_size": 64}
QUICK = {
    "prototypes": 128,
    "hidden_dim": 256,
    "dim": 64,
    "local_crops": 0,
    "freeze_prototypes": 0,
    "optimizer": "adamw",
    "lr": 2e-3,
    "lr_batch": 0,
    "lr_end": 0,
    "weight_decay": 1e-4,
    "decay_all": False,
    "warmup_epochs": 1,
}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="swav",
            params=SwAVParams,
            build=lambda params, context: SwAV(params, context.backbone, context.image_size),
            augmentation="swav",
            view_kinds=lambda params: frozenset({"global", "local"} if params.local_crops else {"global"}),
            presets={"small-batch": SMALL_BATCH, "cifar": CIFAR, "imagenette": IMAGENETTE, "quick": QUICK},
            citation="Caron et al.: Unsupervised Learning of Visual Features by Contrasting Cluster Assignments,"
            " NeurIPS 2020",
        )
    ]
