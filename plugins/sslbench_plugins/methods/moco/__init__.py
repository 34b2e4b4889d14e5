"""MoCo: tell the key of the same image from a long queue of older keys, made by a slowly following encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslbench import (
    Backbone,
    BuildContext,
    Method,
    MethodParams,
    MethodSpec,
    Progress,
    UserError,
    ViewRequest,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.distributed.ranks import ranks
from sslbench_plugins.blocks.objectives.full_precision import full_precision
from sslbench_plugins.blocks.objectives.moving_average import follow, follower
from sslbench_plugins.methods.moco.feature_queue import FeatureQueue
from sslbench_plugins.methods.moco.split_batch_norm import split_batch_norms


class MoCoParams(MethodParams):
    """Defaults: MoCo v2 (Chen et al. 2020, and the authors' `main_moco.py`); the preset `v1` is He et al. 2020."""

    temperature: float = param(0.2, "temperature of the loss", gt=0)
    queue_size: int = param(65536, "keys that are kept as negatives", ge=1)
    key_momentum: float = param(0.999, "of the key encoder's moving average, each step", ge=0, le=1)
    head_layers: int = param(2, "layers of the head: 1 (v1) or 2 (v2)", ge=1, le=2)
    dim: int = param(128, "width of the embedding the loss sees", ge=1)
    symmetric: bool = param(False, "also predict in the other direction; twice the queries of a step")
    split_bn: int = param(1, "parts of a batch with batch statistics of their own, on one device", ge=1)
    optimizer: str = param("sgd", "update rule", pattern="^(adamw|sgd|lars)$")
    lr: float = param(0.03, "base learning rate", gt=0)
    weight_decay: float = param(1e-4, "weight decay", ge=0)
    decay_all: bool = param(True, "decay biases and norms as well")
    schedule: str = param("epoch", "how often the learning rate changes", pattern="^(step|epoch)$")


class MoCo(Method):
    """Query encoder q (trained), key encoder k (follows q), queue of K keys.

    ``loss = -log softmax([q.k+, q.queue] / T)`` at the positive, for q of one view and k+ of the other.
    """

    def __init__(self, params: MoCoParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self.image_size = image_size
        if params.split_bn > 1:
            split_batch_norms(backbone, params.split_bn)
        self.backbone = backbone
        dim = backbone.feature_dim
        hidden = [nn.Linear(dim, dim), nn.ReLU(inplace=True)] if params.head_layers == 2 else []
        self.head = nn.Sequential(*hidden, nn.Linear(dim, params.dim))
        self.key_backbone, self.key_head = follower(self.backbone), follower(self.head)
        self.queue = FeatureQueue(params.queue_size, params.dim)
        self._fresh: list[Tensor] = []

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),) * 2

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def check_batch(self, batch_size: int) -> None:
        super().check_batch(batch_size)
        keys = batch_size * (2 if self.params.symmetric else 1) * ranks()
        if self.params.queue_size < keys:
            raise UserError(
                f"method 'moco': queue_size = {self.params.queue_size} is shorter than the {keys} keys of a batch"
                f" of {batch_size}; allowed: {keys} or more"
            )
        if batch_size % self.params.split_bn or batch_size < 2 * self.params.split_bn:
            raise UserError(
                f"method 'moco': split_bn = {self.params.split_bn} does not cut a batch of {batch_size} into equal"
                " parts of two images or more"
            )

    def forward(
        self, views: Sequence[Tensor], *, mask: Tensor | None, progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        first, second = views
        loss = self.one_way(first, second)
        if self.params.symmetric:
            # Both directions see the same queue: this batch's keys enter it after the step.
            loss = (loss + self.one_way(second, first)) / 2
        return loss, {}

    def one_way(self, query_view: Tensor, key_view: Tensor) -> Tensor:
        """The loss of queries from one view against keys from the other; the keys are kept for the queue."""
        queries = functional.normalize(self.head(self.backbone(query_view)).float(), dim=1)
        with torch.no_grad():
            keys = self.keys(key_view)
        self._fresh.append(keys)
        with full_precision(queries):
            positive = (queries * keys).sum(dim=1, keepdim=True)
            logits = torch.cat([positive, queries @ self.queue.keys.T], dim=1) / self.params.temperature
            return functional.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))

    def keys(self, view: Tensor) -> Tensor:
        """Unit keys ``[B, dim]``. With split batch norm, keys are made in another order than queries, so that a pair
        does not share its statistics (shuffling BN, section 3.3)."""
        if self.params.split_bn == 1:
            return functional.normalize(self.key_head(self.key_backbone(view)).float(), dim=1)
        order = torch.randperm(len(view), device=view.device)
        keys = functional.normalize(self.key_head(self.key_backbone(view[order])).float(), dim=1)
        return keys[order.argsort()]

    def after_step(self, progress: Progress) -> None:
        follow(self.key_backbone, self.backbone, self.params.key_momentum)
        follow(self.key_head, self.head, self.params.key_momentum)
        for keys in self._fresh:
            self.queue.put(keys)
        self._fresh.clear()


def build(params: MoCoParams, context: BuildContext) -> MoCo:
    return MoCo(params, context.backbone, context.image_size)


# The authors' CIFAR-10 notebook: rate and batch of 512 go together, no warm-up, cosine per epoch.
CIFAR = {
    "temperature": 0.1,
    "queue_size": 4096,
    "key_momentum": 0.99,
    "head_layers": 1,
    "split_bn": 8,
    "lr": 0.06,
    "lr_batch": 512,
    "weight_decay": 5e-4,
}
QUICK = {
    "temperature": 0.2,
    "queue_size": 512,
    "key_momentum": 0.99,
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
            name="moco",
            summary=__doc__.partition("\n")[0],
            params=MoCoParams,
            build=build,
            augmentation="moco-v2",
            presets={"v1": {"temperature": 0.07, "head_layers": 1}, "cifar": CIFAR, "quick": QUICK},
            citation="He, Fan, Wu, Xie, Girshick: Momentum Contrast for Unsupervised Visual Representation Learning,"
            " CVPR 2020; v2: Chen, Fan, Girshick, He, arXiv 2003.04297",
        )
    ]
