"""MoCo: contrastive learning with a momentum encoder (EMA) and a long queue of its older keys as negatives."""

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
    UserError,
    ViewRequest,
    hookimpl,
    param,
    ranks,
)
from sslbench_plugins.blocks.objectives.feature_queue import FeatureQueue
from sslbench_plugins.blocks.objectives.moving_average import ema_copy, ema_update
from sslbench_plugins.blocks.objectives.numerics import full_precision


class MoCoParams(MethodParams):
    """Defaults: MoCo v2 (Chen et al. 2020, and the authors' `main_moco.py`); the preset `v1` is He et al. 2020."""

    temperature: float = param(0.2, "temperature of the loss", gt=0)
    queue_size: int = param(65536, "keys that are kept as negatives", ge=1)
    key_momentum: float = param(0.999, "of the key encoder's moving average, each step", ge=0, le=1)
    head_layers: int = param(2, "layers of the head: 1 (v1) or 2 (v2)", ge=1, le=2)
    dim: int = param(128, "width of the embedding that the loss compares", ge=1)
    symmetric: bool = param(False, "ablation: the loss in both directions; twice the queries of a step")
    split_bn: int = param(1, "parts of a batch with batch statistics of their own, as on so many devices", ge=1)
    optimizer: Literal["adamw", "sgd", "lars"] = param("sgd", "update rule")
    lr: float = param(0.03, "base learning rate", gt=0)
    weight_decay: float = param(1e-4, "weight decay", ge=0)
    decay_all: bool = param(True, "decay biases and norms as well")
    schedule: Literal["step", "epoch"] = param("epoch", "how often the learning rate changes")


class MoCo(Method):
    """Query encoder q (trained), key encoder k (momentum encoder: the moving average of q), queue of K keys.

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
        self.key_backbone, self.key_head = ema_copy(self.backbone), ema_copy(self.head)
        self.queue = FeatureQueue(params.queue_size, params.dim)
        self._new_keys: list[Tensor] = []

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),) * 2

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def after_step(self, progress: Progress) -> None:
        """EMA update of the key encoder; then this batch's keys replace the oldest of the queue."""
        ema_update(self.key_backbone, self.backbone, self.params.key_momentum)
        ema_update(self.key_head, self.head, self.params.key_momentum)
        for keys in self._new_keys:
            self.queue.put(keys)
        self._new_keys.clear()

    def queries(self, view: Tensor) -> Tensor:
        """``[B, 3, S, S]`` -> unit queries, float32 ``[B, dim]``."""
        return functional.normalize(self.head(self.backbone(view)).float(), dim=1)

    @torch.no_grad()
    def keys(self, view: Tensor) -> Tensor:
        """``[B, 3, S, S]`` -> unit keys, float32 ``[B, dim]``, without gradients."""
        if self.params.split_bn > 1:
            return self.shuffled_keys(view)
        return functional.normalize(self.key_head(self.key_backbone(view)).float(), dim=1)

    def contrastive_loss(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Queries and their positive keys, unit ``[B, dim]``, and the queue's negatives -> a scalar."""
        with full_precision(queries):
            positive = (queries * keys).sum(dim=1, keepdim=True)
            logits = torch.cat([positive, queries @ self.queue.keys.T], dim=1) / self.params.temperature
            return functional.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Two views ``[B, 3, S, S]`` -> the loss; the keys are kept for the queue."""
        first, second = views
        loss = self.one_way(first, second)
        if self.params.symmetric:
            # Both directions use the same queue: this batch's keys enter it after the step.
            loss = (loss + self.one_way(second, first)) / 2
        return loss, {}

    def one_way(self, query_view: Tensor, key_view: Tensor) -> Tensor:
        """The loss of queries from one view against keys from the other."""
        queries, keys = self.queries(query_view), self.keys(key_view)
        self._new_keys.append(keys)
        return self.contrastive_loss(queries, keys)

    def shuffled_keys(self, view: Tensor) -> Tensor:
        """Keys that are made in another order than queries, so that with split batch norm a pair does not share its
        statistics (shuffling BN, section 3.3)."""
        order = torch.randperm(len(view), device=view.device)
        keys = functional.normalize(self.key_head(self.key_backbone(view[order])).float(), dim=1)
        return keys[order.argsort()]

    def check_batch(self, batch_size: int) -> None:
        """Raises UserError for a batch that the queue cannot hold or that does not split."""
        super().check_batch(batch_size)
        keys = batch_size * (2 if self.params.symmetric else 1)
        if self.params.queue_size < keys:
            raise UserError(
                f"method 'moco': queue_size = {self.params.queue_size} is shorter than the {keys} keys of a batch"
                f" of {batch_size}; allowed: {keys} or more"
            )
        if batch_size % (self.params.split_bn * ranks()) or batch_size < 2 * self.params.split_bn:
            devices = f" on {ranks()} devices" if ranks() > 1 else ""
            raise UserError(
                f"method 'moco': split_bn = {self.params.split_bn} does not cut a batch of {batch_size}{devices} into"
                " equal parts of two images or more"
            )


class SplitBatchNorm2d(nn.BatchNorm2d):
    """Statistics over each of ``splits`` equal parts of the batch apart, as on so many devices (the authors' CIFAR-10
    notebook): a key and its query leak through the statistics that they share (section 3.3). Running statistics are
    the mean over the parts. ``[B, C, H, W]``, B divisible by ``splits`` in training. On several ranks, part s has the
    images of part s of every rank, which are those that it has on one."""

    def __init__(self, features: int, splits: int, **options: Any) -> None:
        super().__init__(features, **options)
        self.splits = splits

    def forward(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> ``[B, C, H, W]``."""
        if not self.training:
            return super().forward(images)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        parts, channels = self.splits, self.num_features
        # On a CPU a norm of channels first costs less, its copies included (docs/log.md).
        images = images if images.is_cuda else images.contiguous()
        mean, variance = self.running_mean.repeat(parts), self.running_var.repeat(parts)
        # Part s takes images s, s + parts, ...: the order of a shuffled batch does not matter.
        out = functional.batch_norm(
            parts_as_channels(images, parts),
            mean,
            variance,
            self.weight.repeat(parts) if self.affine else None,
            self.bias.repeat(parts) if self.affine else None,
            True,
            self.momentum if self.momentum is not None else 0.1,
            self.eps,
        )
        with torch.no_grad():
            self.running_mean.copy_(mean.view(parts, channels).mean(0))
            self.running_var.copy_(variance.view(parts, channels).mean(0))
            self.num_batches_tracked.add_(1)
        return channels_as_parts(out, parts)


def parts_as_channels(images: Tensor, parts: int) -> Tensor:
    """``[B, C, H, W]`` -> ``[B / parts, parts * C, H, W]`` in the same layout: image ``i * parts + s`` becomes the
    channels ``s * C`` to ``s * C + C - 1`` of image i. Channels last stay so: convolutions would copy them back."""
    if images.is_contiguous():
        return images.reshape(len(images) // parts, -1, *images.shape[2:])
    batch, channels, height, width = images.shape
    pixels = images.permute(0, 2, 3, 1).reshape(batch // parts, parts, height, width, channels)
    return pixels.permute(0, 2, 3, 1, 4).flatten(3).permute(0, 3, 1, 2)


def channels_as_parts(folded: Tensor, parts: int) -> Tensor:
    """The inverse of ``parts_as_channels``."""
    if folded.is_contiguous():
        return folded.reshape(len(folded) * parts, -1, *folded.shape[2:])
    images, channels, height, width = folded.shape
    pixels = folded.permute(0, 2, 3, 1).reshape(images, height, width, parts, channels // parts)
    return pixels.permute(0, 3, 1, 2, 4).flatten(0, 1).permute(0, 3, 1, 2)


def split_batch_norms(network: nn.Module, splits: int) -> nn.Module:
    """Replace every 2-D batch norm of ``network`` in place, keeping its weights; returns the network."""
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d:
            options = {"eps": child.eps, "momentum": child.momentum, "affine": child.affine}
            norm = SplitBatchNorm2d(child.num_features, splits, **options)
            norm.load_state_dict(child.state_dict())
            setattr(network, name, norm)
        else:
            split_batch_norms(child, splits)
    return network


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
            params=MoCoParams,
            build=lambda params, context: MoCo(params, context.backbone, context.image_size),
            augmentation="moco-v2",
            presets={"v1": {"temperature": 0.07, "head_layers": 1}, "cifar": CIFAR, "quick": QUICK},
            citation="He, Fan, Wu, Xie, Girshick: Momentum Contrast for Unsupervised Visual Representation Learning,"
            " CVPR 2020; v2: Chen, Fan, Girshick, He, arXiv 2003.04297",
        )
    ]
