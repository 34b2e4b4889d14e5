"""DINO: self-distillation; a student matches its momentum encoder (EMA teacher) over prototypes, across crops."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslbench import (
    Backbone,
    Method,
    MethodParams,
    MethodSpec,
    Progress,
    TokenBackbone,
    UserError,
    ViewRequest,
    cosine,
    hookimpl,
    mean_over_ranks,
    param,
)
from sslbench_plugins.blocks.objectives.moving_average import ema_copy, ema_update
from sslbench_plugins.blocks.objectives.numerics import full_precision
from sslbench_plugins.blocks.objectives.self_distillation import (
    by_size,
    embedding_spread,
    self_distillation,
    targets_of,
)


class DINOParams(MethodParams):
    """Defaults: Caron et al. 2021, and the authors' `main_dino.py`."""

    prototypes: int = param(65536, "width of the head's output", ge=2)
    head_layers: int = param(3, "linear layers of the head before the prototypes", ge=1)
    hidden_dim: int = param(2048, "hidden width of the head", ge=1)
    bottleneck_dim: int = param(256, "width before the prototypes", ge=1)
    head_norm: bool = param(False, "batch norm in the head")
    local_crops: int = param(8, "small crops beside the two large ones", ge=0)
    local_size: int = param(0, "side of a small crop; 0: three sevenths of the image", ge=0, unit="px")
    student_temperature: float = param(0.1, "temperature of the student", gt=0)
    teacher_temperature: float = param(0.04, "temperature of the teacher after its warm-up", gt=0)
    teacher_temperature_start: float = param(0.04, "temperature of the teacher at the start", gt=0)
    teacher_warmup_epochs: float = param(0, "linear warm-up of the teacher's temperature", ge=0, unit="epochs")
    centring: bool = param(True, "subtract the running mean of the teacher's output")
    centre_momentum: float = param(0.9, "of that running mean", ge=0, lt=1)
    teacher_momentum: float = param(0.996, "of the teacher's moving average at the start", ge=0, le=1)
    teacher_momentum_end: float = param(1.0, "the same at the end of a cosine", ge=0, le=1)
    drop_path: float = param(
        0.1, "probability that the student's last transformer block leaves a branch out (0 in the first)", ge=0, lt=1
    )
    freeze_prototypes: float = param(1, "epochs at the start in which the prototypes stay", ge=0, unit="epochs")
    clip: float = param(3.0, "largest gradient norm of each parameter tensor; 0: no clipping", ge=0)
    lr: float = param(5e-4, "base learning rate", gt=0)
    lr_end: float = param(1e-6, "learning rate at the end of the cosine", ge=0)
    weight_decay: float = param(0.04, "weight decay", ge=0)
    weight_decay_end: float | None = param(0.4, "weight decay at the end of a cosine from `weight_decay`", ge=0)
    warmup_epochs: float = param(10, "linear warm-up before the cosine decay", ge=0, unit="epochs")


class Head(nn.Module):
    """A few layers to a bottleneck of unit length, then unit prototypes: a weight-normed last layer with its gain fixed
    at 1 is a product with unit rows."""

    def __init__(self, params: DINOParams, dim: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(params.head_layers - 1):
            norm = [nn.BatchNorm1d(params.hidden_dim)] if params.head_norm else []
            parts += [nn.Linear(dim, params.hidden_dim), *norm, nn.GELU()]
            dim = params.hidden_dim
        self.mlp = nn.Sequential(*parts, nn.Linear(dim, params.bottleneck_dim))
        self.prototypes = nn.Parameter(torch.empty(params.prototypes, params.bottleneck_dim))
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        nn.init.kaiming_uniform_(self.prototypes, a=5**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """``[B, D]`` -> cosines with the prototypes, ``[B, prototypes]``."""
        embedding = functional.normalize(self.mlp(features), dim=1)
        return functional.linear(embedding, functional.normalize(self.prototypes, dim=1))


class DINO(Method):
    """Student on all crops, teacher on the two large ones: cross-entropy from each teacher crop to each other student
    crop. The teacher is evaluated, as in the paper (section 4.2)."""

    centre: Tensor

    def __init__(self, params: DINOParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self.image_size = image_size
        self.local_size = local_size(params, backbone, image_size)
        self.backbone = backbone
        self.head = Head(params, backbone.feature_dim)
        self.teacher_backbone, self.teacher_head = ema_copy(self.backbone), ema_copy(self.head)
        if params.drop_path and isinstance(self.backbone, TokenBackbone):
            # After the teacher was copied: only the student leaves branches out.
            self.backbone.stochastic_depth(params.drop_path)
        self.register_buffer("centre", torch.zeros(params.prototypes))
        self._teacher_means: list[Tensor] = []
        """of the parts of this step's batch, ``[prototypes]`` each"""

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        small = ViewRequest("local", self.local_size)
        return (ViewRequest("global", self.image_size),) * 2 + (small,) * self.params.local_crops

    @property
    def encoder(self) -> nn.Module:
        return self.teacher_backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Crops, the two large ones first -> the loss; the teacher's entropy in nats, how far apart its distributions
        are, and the loss of a student that puts every image on all prototypes alike."""
        # One pass for all crops of a size, which share batch statistics, as in the authors' code.
        features = torch.cat([self.backbone(torch.cat(group)) for group in by_size(views)])
        students = self.head(features).float().unflatten(0, (len(views), -1))
        with torch.no_grad():
            teachers = self.teacher_head(self.teacher_backbone(torch.cat(list(views[:2])))).float()
            teachers = teachers.unflatten(0, (2, -1))
            targets = targets_of(teachers, self.centre, self.teacher_temperature(progress.epoch))
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
        share = min(1.0, epoch / max(1.0, p.teacher_warmup_epochs - 1)) if epoch < p.teacher_warmup_epochs else 1.0
        return p.teacher_temperature_start + share * (p.teacher_temperature - p.teacher_temperature_start)

    def after_backward(self, progress: Progress) -> None:
        """Clip gradients; freeze the prototypes in the first epochs."""
        if self.params.clip:
            clip_each([p for p in self.parameters() if p.grad is not None], self.params.clip)
        if progress.epoch < self.params.freeze_prototypes:
            # No gradient at all: with a zero gradient, weight decay and momentum would still move them.
            self.head.prototypes.grad = None

    def after_step(self, progress: Progress) -> None:
        """Move the centre, once however many parts the batch had; EMA update of the teacher, with a momentum that
        rises on a cosine."""
        if self._teacher_means:
            mean = torch.stack(self._teacher_means).mean(dim=0)
            self.centre.lerp_(mean_over_ranks(mean), 1 - self.params.centre_momentum)
        self._teacher_means.clear()
        momentum = cosine(self.params.teacher_momentum, self.params.teacher_momentum_end, progress.fraction)
        ema_update(self.teacher_backbone, self.backbone, momentum)
        ema_update(self.teacher_head, self.head, momentum)


def clip_each(parameters: Sequence[nn.Parameter], largest: float) -> None:
    """Scale each parameter's gradient down to a norm of ``largest``, each by itself."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    factors = [(largest / (norm + 1e-6)).clamp(max=1) for norm in torch._foreach_norm(gradients)]
    torch._foreach_mul_(gradients, factors)


def local_size(params: DINOParams, backbone: Backbone, image_size: int) -> int:
    """Side of a small crop, a multiple of the patch for a backbone that has one."""
    patch = backbone.patch_size if isinstance(backbone, TokenBackbone) else 1
    size = params.local_size or max(patch, image_size * 3 // 7 // patch * patch)
    if params.local_crops and (size < patch or size % patch):
        raise UserError(
            f"method 'dino': local_size = {size} px does not hold whole patches of {patch} px;"
            f" allowed: a multiple of {patch}"
        )
    return size


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
