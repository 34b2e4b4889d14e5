"""Distillation: a student predicts the features of a frozen teacher, such as a foundation model; no labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslbench import (
    Backbone,
    BuildContext,
    InputSpec,
    Method,
    MethodParams,
    MethodSpec,
    Progress,
    UserError,
    ViewRequest,
    build_plugin,
    default_registry,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.networks.projector import projector
from sslbench_plugins.blocks.objectives.feature_queue import FeatureQueue
from sslbench_plugins.blocks.objectives.numerics import full_precision
from sslbench_plugins.blocks.objectives.running_standard import RunningStandard

WHERE = "method 'distill': teacher"


class DistillParams(MethodParams):
    """Loss: Shang et al. 2024, Theia, and Ranzinger et al. 2024, AM-RADIO. Both have several teachers and tell patches
    as well; settings for the features of a whole image and one teacher are not published there. Similarities: Fang et
    al. 2021, SEED."""

    teacher: str = param("pretrained:preset=dinov2-vits14", "a method that takes no training step", names="method")
    teacher_backbone: str = param("", "what a teacher without a network of its own works on", names="backbone")
    loss: Literal["features", "similarity"] = param(
        "features", "what the student matches: the teacher's features, or its similarities to images before"
    )
    cosine_weight: float = param(0.9, "features: share of the cosine distance; the rest is smooth L1", ge=0, le=1)
    queue_size: int = param(65536, "similarity: images before, of which the teacher's features are kept", ge=1)
    student_temperature: float = param(0.2, "similarity: of the student's distribution", gt=0)
    teacher_temperature: float = param(0.01, "similarity: of the teacher's distribution", gt=0)
    standardise: bool = param(True, "compare features standardised in each dimension, over all that were seen")
    head_layers: int = param(2, "layers of the student's map to the teacher's features; 1: linear", ge=1)
    hidden_dim: int = param(2048, "hidden width of a map of several layers", ge=1)
    lr: float = param(1e-3, "base learning rate", gt=0)
    lr_batch: int = param(1024, "batch size that `lr` is meant for; 0: use `lr` as it is", ge=0, unit="images")
    weight_decay: float = param(0.05, "weight decay", ge=0)
    warmup_epochs: float = param(5, "linear warm-up before the cosine decay", ge=0, unit="epochs")


class Distill(Method):
    """Student f, head h, teacher t, on one view x: ``0.9 (1 - cos(h f x, t x)) + 0.1 smooth_l1(h f x, t x)``."""

    given: Tensor
    wanted: Tensor
    """mean and deviation of the views, and of what the teacher wants, ``[2, 3, 1, 1]`` each"""

    def __init__(self, params: DistillParams, teacher: Method, context: BuildContext) -> None:
        super().__init__()
        self.params = params
        self.image_size = context.image_size
        self.backbone: Backbone = context.backbone
        self.learns_from = (teacher.eval().requires_grad_(False),)
        self.input = teacher.input_spec or InputSpec(context.image_size, context.mean, context.std)
        dim = features_of(teacher, self.input.size)
        self.head = projector(self.backbone.feature_dim, params.hidden_dim, dim, params.head_layers, last="biased")
        self.standard = RunningStandard(dim)
        self.queue = FeatureQueue(params.queue_size, dim) if params.loss == "similarity" else None
        self._targets: list[Tensor] = []
        """of the parts of this step's batch, ``[B, D]`` each, of unit length"""
        for name, of in (("given", context), ("wanted", self.input)):
            self.register_buffer(name, torch.tensor([of.mean, of.std]).view(2, 3, 1, 1), persistent=False)

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),)

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """One view ``[B, 3, S, S]``, the same for student and teacher (Beyer et al. 2022) -> the loss; its terms."""
        (images,) = views
        predicted = self.head(self.backbone(images)).float()
        target = self.target(images)
        if self.queue is not None:
            self._targets.append(functional.normalize(target, dim=1))
            return similarity_loss(predicted, self._targets[-1], self.queue.keys, self.params), {}
        cosine = 1 - functional.cosine_similarity(predicted, target, dim=1).mean()
        distance = functional.smooth_l1_loss(predicted, target)
        share = self.params.cosine_weight
        loss = share * cosine + (1 - share) * distance
        return loss, {"cosine_distance": cosine.detach(), "smooth_l1": distance.detach()}

    def after_step(self, progress: Progress) -> None:
        """The teacher's features of this batch replace the oldest in the queue."""
        for targets in self._targets:
            assert self.queue is not None
            self.queue.put(targets)
        self._targets.clear()

    @torch.no_grad()
    def target(self, images: Tensor) -> Tensor:
        """The teacher's features of views ``[B, 3, S, S]``, float32 ``[B, D]``."""
        (teacher,) = self.learns_from
        features: Tensor = teacher.encoder(self.as_teacher_wants(images)).float()
        return self.standard(features) if self.params.standardise else features

    def as_teacher_wants(self, images: Tensor) -> Tensor:
        """Views in the teacher's size, normalised by its mean and deviation. They are crops: none is cut again."""
        (mean, std), (own_mean, own_std) = self.given, self.wanted
        pixels = images * std + mean
        if pixels.shape[-1] != self.input.size:
            size, mode = (self.input.size, self.input.size), self.input.interpolation
            pixels = functional.interpolate(pixels, size, mode=mode, align_corners=False, antialias=True)
            pixels = pixels.clamp(0, 1) if mode == "bicubic" else pixels
        wanted: Tensor = (pixels - own_mean) / own_std
        return wanted


def similarity_loss(predicted: Tensor, target: Tensor, keys: Tensor, params: DistillParams) -> Tensor:
    """Cross-entropy between the teacher's and the student's distribution of similarities, of each image to its own
    target and to ``keys`` (SEED, section 3.2).

    ``predicted``: float32 ``[B, D]``; ``target`` ``[B, D]`` and ``keys`` ``[K, D]`` of unit length.
    """
    with full_precision(predicted):

        def logits(rows: Tensor, temperature: float) -> Tensor:
            own = (rows * target).sum(dim=1, keepdim=True)
            return torch.cat([own, rows @ keys.T], dim=1) / temperature

        expected = logits(target, params.teacher_temperature).softmax(dim=1)
        given = logits(functional.normalize(predicted, dim=1), params.student_temperature)
        return functional.cross_entropy(given, expected)


def features_of(teacher: Method, size: int) -> int:
    """Width of the teacher's features."""
    if isinstance(teacher.encoder, Backbone):
        return teacher.encoder.feature_dim
    with torch.no_grad():
        return int(teacher.encoder(torch.zeros(1, 3, size, size)).shape[1])


def build(params: DistillParams, context: BuildContext) -> Distill:
    """Raises UserError where the teacher is not here, or lacks a backbone."""
    given: dict[str, Any] = {**vars(context), "backbone": None, "mask_ratio": None}
    # Whatever a teacher draws, the student begins as it would under any other.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(context.seed)
        if params.teacher_backbone:
            given["backbone"] = build_plugin("backbone", params.teacher_backbone, f"{WHERE}_backbone", **given)
        elif "backbone" in getattr(default_registry().get("method", params.teacher.partition(":")[0]), "uses", ()):
            raise UserError(f"{WHERE} = {params.teacher!r} works on a backbone; name one: teacher_backbone=NAME")
        teacher = build_plugin("method", params.teacher, WHERE, **given)
    return Distill(params, teacher, context)


# Not published. A preset trains; the teacher is the user's.
CIFAR: dict[str, Any] = {"lr_batch": 256, "warmup_epochs": 1}
IMAGENETTE = {"lr_batch": 256, "warmup_epochs": 5}
# Fang et al. 2021, section 4.1.
SEED = {
    "loss": "similarity",
    "standardise": False,
    "optimizer": "sgd",
    "lr": 0.03,
    "lr_batch": 256,
    "weight_decay": 1e-4,
}
QUICK = {"hidden_dim": 128, "lr": 2e-3, "lr_batch": 0, "weight_decay": 1e-4, "warmup_epochs": 1}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="distill",
            params=DistillParams,
            build=build,
            augmentation="mae",
            presets={"cifar": CIFAR, "imagenette": IMAGENETTE, "quick": QUICK, "seed": SEED},
            citation="Shang et al.: Theia: Distilling Diverse Vision Foundation Models for Robot Learning, CoRL 2024;"
            " Ranzinger et al.: AM-RADIO: Agglomerative Vision Foundation Model, CVPR 2024; Fang et al.: SEED:"
            " Self-supervised Distillation For Visual Representation, ICLR 2021; Beyer et al.: Knowledge"
            " distillation: A good teacher is patient and consistent, CVPR 2022",
        )
    ]
