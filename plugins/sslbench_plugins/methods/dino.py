"""DINO: self-distillation; a student matches its momentum encoder (EMA teacher) over prototypes, across crops."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sslbench import Backbone, Method, MethodSpec, Progress, TokenBackbone, ViewRequest, cosine, hookimpl, param
from sslbench_plugins.blocks.networks.prototype_head import PrototypeHead
from sslbench_plugins.blocks.networks.student_teacher import (
    StudentTeacherParams,
    clip_each,
    crop_requests,
    move_centre,
    temperature_at,
)
from sslbench_plugins.blocks.objectives.moving_average import ema_copy, ema_update
from sslbench_plugins.blocks.objectives.numerics import full_precision
from sslbench_plugins.blocks.objectives.self_distillation import (
    by_size,
    embedding_spread,
    self_distillation,
    targets_of,
)


class DINOParams(StudentTeacherParams):
    """Defaults: Caron et al. 2021, and the authors' `main_dino.py`."""

    prototypes: int = param(65536, "width of the head's output", ge=2)
    head_norm: bool = param(False, "batch norm in the head")
    centring: bool = param(True, "subtract the running mean of the teacher's output")


class DINO(Method):
    """Student on all crops, teacher on the two large ones: cross-entropy from each teacher crop to each other student
    crop. The teacher is evaluated, as in the paper (section 4.2)."""

    centre: Tensor

    def __init__(self, params: DINOParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self._views = crop_requests("dino", params, backbone, image_size)
        self.backbone = backbone
        self.head = PrototypeHead(
            backbone.feature_dim,
            params.prototypes,
            layers=params.head_layers,
            hidden_dim=params.hidden_dim,
            bottleneck_dim=params.bottleneck_dim,
            norm=params.head_norm,
        )
        self.teacher_backbone, self.teacher_head = ema_copy(self.backbone), ema_copy(self.head)
        if params.drop_path and isinstance(self.backbone, TokenBackbone):
            # After the teacher was copied: only the student leaves branches out.
            self.backbone.stochastic_depth(params.drop_path)
        self.register_buffer("centre", torch.zeros(params.prototypes))
        self._teacher_means: list[Tensor] = []
        """of the parts of this step's batch, ``[prototypes]`` each"""

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return self._views

    @property
    def encoder(self) -> nn.Module:
        return self.teacher_backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Crops, the two large ones first -> the loss; the teacher's entropy in nats, how far apart its distributions
        are, and the loss of a student that puts every image on all prototypes alike."""
        temperature = progress.scheduled(lambda at: self.teacher_temperature(at.epoch))
        # One pass for all crops of a size, which share batch statistics, as in the authors' code.
        features = torch.cat([self.backbone(torch.cat(group)) for group in by_size(views)])
        students = self.head(features).float().unflatten(0, (len(views), -1))
        with torch.no_grad():
            teachers = self.teacher_head(self.teacher_backbone(torch.cat(list(views[:2])))).float()
            teachers = teachers.unflatten(0, (2, -1))
            targets = targets_of(teachers, self.centre, temperature)
            if self.params.centring:
                self._teacher_means.append(teachers.mean(dim=(0, 1)))
            entropy = torch.special.entr(targets).sum(dim=-1).mean()
        with full_precision(students):
            loss = self_distillation(students, targets, self.params.student_temperature)
        # In these collapse shows: all images on one prototype, or on all alike.
        return loss, {
            "teacher_entropy": entropy,
            "embedding_spread": embedding_spread(targets[0]),
            "uniform_loss": torch.full_like(entropy, math.log(self.params.prototypes)),
        }

    def teacher_temperature(self, epoch: int) -> float:
        """Rises per epoch, in equal steps over the warm-up; a single epoch of warm-up is the start itself."""
        p = self.params
        return temperature_at(epoch, p.teacher_warmup_epochs, p.teacher_temperature_start, p.teacher_temperature)

    def after_backward(self, progress: Progress) -> None:
        """Clip gradients; freeze the prototypes in the first epochs."""
        if self.params.clip:
            clip_each([p for p in self.parameters() if p.grad is not None], self.params.clip)
        if progress.decision(lambda at: at.epoch < self.params.freeze_prototypes):
            self.head.freeze_prototypes()

    def after_step(self, progress: Progress) -> None:
        """Move the centre, once however many parts the batch had; EMA update of the teacher, with a momentum that
        rises on a cosine."""
        move_centre(self.centre, self._teacher_means, self.params.centre_momentum)
        start, end = self.params.teacher_momentum, self.params.teacher_momentum_end
        momentum = progress.scheduled(lambda at: cosine(start, end, at.fraction))
        ema_update(self.teacher_backbone, self.backbone, momentum)
        ema_update(self.teacher_head, self.head, momentum)


# The authors' ResNet-50: SGD. Use it with the augmentation's preset of the same name.
RESNET = {"optimizer": "sgd", "lr": 0.03, "weight_decay": 1e-4, "weight_decay_end": None}
# lightly's CIFAR-10 benchmark: two crops, a small head with batch norm, constant momentum.
CIFAR = {
    "prototypes": 2048,
    "head_layers": 2,
    "head_norm": True,
    "local_crops": 0,
    "teacher_momentum": 0.99,
    "teacher_momentum_end": 0.99,
    "freeze_prototypes": 0,
    "clip": 0,
    "optimizer": "sgd",
    "lr": 0.06,
    "lr_batch": 128,
    "lr_end": 0,
    "weight_decay": 5e-4,
    "weight_decay_end": None,
    "decay_all": True,
    "schedule": "epoch",
    "warmup_epochs": 0,
}
QUICK = {
    "prototypes": 512,
    "hidden_dim": 128,
    "bottleneck_dim": 64,
    "head_norm": True,
    "local_crops": 0,
    "teacher_momentum": 0.95,
    "teacher_momentum_end": 0.99,
    "drop_path": 0,
    "freeze_prototypes": 0,
    "lr": 2e-3,
    "lr_batch": 0,
    "lr_end": 0,
    "weight_decay": 1e-4,
    "weight_decay_end": None,
    "warmup_epochs": 1,
}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="dino",
            params=DINOParams,
            build=lambda params, context: DINO(params, context.backbone, context.image_size),
            augmentation="dino",
            view_kinds=lambda params: frozenset({"global", "local"} if params.local_crops else {"global"}),
            presets={
                "boosted": {"teacher_temperature": 0.07, "teacher_warmup_epochs": 30},
                "resnet": RESNET,
                "cifar": CIFAR,
                "quick": QUICK,
            },
            citation="Caron et al.: Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021",
        )
    ]
