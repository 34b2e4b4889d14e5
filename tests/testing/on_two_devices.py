"""Methods for several devices: right ones, and ones with a planted mistake each."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sslbench import Method, MethodParams, MethodSpec, ViewRequest, gathered, mean_over_ranks, rank, ranks
from sslbench_plugins.blocks.objectives.feature_queue import FeatureQueue
from sslbench_plugins.methods.moco import split_batch_norms


class Pairs(Method):
    """Each image against the others of the batch, and a running mean of what it is compared with."""

    def __init__(self, backbone, size):
        super().__init__()
        self.backbone, self.size = backbone, size
        self.queue = FeatureQueue(20, backbone.feature_dim)
        self.register_buffer("centre", torch.zeros(backbone.feature_dim))

    @property
    def views(self):
        return (ViewRequest("global", self.size),) * 2

    @property
    def encoder(self):
        return self.backbone

    def keys(self, local):
        return gathered(local)

    def centre_of(self, local):
        return mean_over_ranks(local.mean(0))

    def put(self, local):
        self.queue.put(local)

    def forward(self, views, *, masks, progress):
        first, second = (functional.normalize(self.backbone(view), dim=1) for view in views)
        keys = self.keys(second)
        positives = torch.arange(len(first), device=first.device) + (
            len(first) * rank() if len(keys) > len(first) else 0
        )
        self.local = second.detach()
        loss = functional.cross_entropy((first - self.centre) @ keys.T / 0.2, positives)
        return loss, {"length": first.detach().sum(1).mean()}

    def after_step(self, progress):
        self.put(self.local)
        self.centre.lerp_(self.centre_of(self.local), 0.1)


class Ungathered(Pairs):
    def keys(self, local):
        return local


class OwnCentre(Pairs):
    def centre_of(self, local):
        return local.mean(0)


class OwnQueue(Pairs):
    def put(self, local):
        self.queue.keys[: len(local)] = local


class OwnStatistics(Pairs):
    """Batch statistics that do not go through torch's batch norm."""

    def forward(self, views, *, masks, progress):
        loss, scalars = super().forward(views, masks=masks, progress=progress)
        embedded = self.backbone(views[0])
        return loss + embedded.std(0).mean(), scalars


class OwnScalar(Pairs):
    """A scalar that is no mean over images."""

    def forward(self, views, *, masks, progress):
        loss, scalars = super().forward(views, masks=masks, progress=progress)
        return loss, {"spread": views[0].std(dim=0).max(), **scalars}


class Random(Pairs):
    def forward(self, views, *, masks, progress):
        loss, scalars = super().forward(views, masks=masks, progress=progress)
        return loss * torch.rand(()), scalars


class Refusing(Pairs):
    def forward(self, views, *, masks, progress):
        if ranks() > 1:
            raise ValueError("one device only")
        return super().forward(views, masks=masks, progress=progress)


class Dropping(Pairs):
    """Dropout is switched off, and batch norm is split as on two devices."""

    def __init__(self, backbone, size):
        super().__init__(split_batch_norms(backbone, 2), size)
        self.drop = nn.Dropout(0.5)

    def forward(self, views, *, masks, progress):
        return super().forward([self.drop(view) for view in views], masks=masks, progress=progress)


METHODS = (Pairs, Ungathered, OwnCentre, OwnQueue, OwnStatistics, OwnScalar, Random, Refusing, Dropping)


def spec_of(method):
    return MethodSpec(
        name=method.__name__.lower(),
        summary="for tests",
        params=MethodParams,
        build=lambda params, context: method(context.backbone, context.image_size),
    )


def sslbench_methods():
    return [spec_of(method) for method in METHODS]
