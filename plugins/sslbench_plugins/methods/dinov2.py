"""DINOv2: self-distillation of images and masked patches with Sinkhorn-Knopp centring and KoLeo; DINO plus iBOT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sslbench import BuildContext, MethodSpec, Progress, TokenBackbone, UserError, hookimpl, mean_over_ranks, param
from sslbench_plugins.blocks.networks.layer_decay import rate_scales, scaled_groups
from sslbench_plugins.blocks.networks.masked_student import (
    MaskedStudentParams,
    MaskedStudentTeacher,
    Outputs,
    for_images_and_patches,
)
from sslbench_plugins.blocks.networks.student_teacher import move_centre, temperature_at
from sslbench_plugins.blocks.objectives.koleo import koleo
from sslbench_plugins.blocks.objectives.masked_distillation import MaskedPatches
from sslbench_plugins.blocks.objectives.numerics import at_least_float32
from sslbench_plugins.blocks.objectives.self_distillation import targets_of
from sslbench_plugins.blocks.objectives.sinkhorn import sinkhorn


class DINOv2Params(MaskedStudentParams):
    """Defaults: Oquab et al. 2023, section 4 and appendix B, and the authors' `ssl_default_config.yaml`."""

    heads: Literal["shared", "separate"] = param("separate", "one head for images and patches, or one for each")
    prototypes: int = param(65536, "width of a head's output", ge=2)
    prototype_gains: bool = param(True, "train the length of each prototype; false: it stays 1")
    centring: Literal["sinkhorn", "softmax"] = param(
        "sinkhorn", "the teacher's outputs: shared out among prototypes, or less their running mean and a softmax"
    )
    sinkhorn_iterations: int = param(3, "iterations of Sinkhorn-Knopp", ge=0)
    koleo: float = param(0.1, "weight of the KoLeo regularizer; 0: none", ge=0)
    koleo_crops: Literal[1, 2] = param(1, "large crops that KoLeo spreads: the first (the paper), or each (the code)")
    teacher_momentum: float = param(0.992, "of the teacher's moving average at the start", ge=0, le=1)
    drop_path: float = param(
        0.3, "probability that the student's last transformer block leaves a branch out (0 in the first)", ge=0, lt=1
    )
    clip: float = param(3.0, "largest gradient norm of the backbone, and of each head; 0: no clipping", ge=0)
    layer_decay: float = param(0.9, "factor of the learning rate from one block to the one before", gt=0, le=1)
    patch_embedding_rate: float = param(0.2, "factor of the patch embedding's learning rate", ge=0)
    lr: float = param(0.004, "base learning rate", gt=0)
    lr_batch: int = param(1024, "batch size that `lr` is meant for; 0: use `lr` as it is", ge=0, unit="images")
    lr_scaling: Literal["linear", "sqrt"] = param("sqrt", "how the learning rate grows with the batch size")
    weight_decay_end: float | None = param(0.2, "weight decay at the end of a cosine from `weight_decay`", ge=0)


class DINOv2(MaskedStudentTeacher):
    """``loss = class_weight * DINO's + patch_weight * iBOT's + koleo * KoLeo``, the teacher's outputs by Sinkhorn-Knopp
    over the batch, in place of a softmax around running means."""

    params: DINOv2Params
    centre: Tensor
    patch_centre: Tensor

    def __init__(self, params: DINOv2Params, backbone: TokenBackbone, image_size: int, mask_ratio: float) -> None:
        super().__init__("dinov2", params, backbone, image_size, mask_ratio)
        self.register_buffer("centre", torch.zeros(params.prototypes))
        self.register_buffer("patch_centre", torch.zeros(params.prototypes))
        self._means: list[Tensor] = []
        self._patch_sums: list[Tensor] = []
        """of the parts of this step's batch, ``[prototypes]``, and ``[prototypes + 1]``: a count at the end"""

    def check_batch(self, batch_size: int) -> None:
        """As in ``Method``; KoLeo needs two images as well."""
        super().check_batch(batch_size)
        if batch_size < 2 and self.params.koleo:
            raise UserError(f"batch of {batch_size}: KoLeo needs at least 2 images at once (batch_size, accumulate)")

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Crops, the two large ones first, and the masks of these -> the loss, what ``compare`` logs, and ``koleo``."""
        p, temperature, masked = self.params, progress.scheduled(self.temperature), self.masked(masks)
        features, students = self.student(views, masked)
        teachers, patches = self.teacher(views)
        targets = self.patch_targets(patches, masked, temperature) if masked else None
        loss, scalars = self.compare(students, Outputs(self.image_targets(teachers, temperature), targets), masked)
        if p.koleo:
            # Each crop by itself: the two of an image shall stay close.
            spread = torch.stack([koleo(crop) for crop in features.chunk(2)[: p.koleo_crops]]).sum()
            loss = loss + p.koleo * spread
            scalars |= {"koleo": spread.detach(), "uniform_loss": scalars["uniform_loss"] + p.koleo * spread.detach()}
        return loss, scalars

    def temperature(self, progress: Progress) -> float:
        """The teacher's: rises step by step over the warm-up."""
        p = self.params
        warmup = p.teacher_warmup_epochs * progress.total_steps / max(1, progress.epochs)
        return temperature_at(progress.step, warmup, p.teacher_temperature_start, p.teacher_temperature)

    @torch.no_grad()
    def image_targets(self, teachers: Tensor, temperature: float | Tensor) -> Tensor:
        """The teacher's outputs ``[2, B, K]`` -> probabilities of that shape; both crops are shared out together."""
        if self.params.centring == "sinkhorn":
            rows = teachers.flatten(0, 1)
            return sinkhorn(rows, temperature, self.params.sinkhorn_iterations).to(rows.dtype).view_as(teachers)
        self._means.append(teachers.mean(dim=(0, 1)))
        return targets_of(teachers, self.centre, temperature)

    @torch.no_grad()
    def patch_targets(self, tokens: Tensor, masked: MaskedPatches, temperature: float | Tensor) -> Tensor:
        """The teacher's patches ``[2 B, N, D]`` -> probabilities for the chosen ones ``[T, K]``; only masked ones are
        shared out, or move the mean."""
        _, head = for_images_and_patches(self.teacher_heads)
        outputs = at_least_float32(head(masked.gather(tokens)))
        counted = (masked.weights > 0).to(outputs.dtype)
        if self.params.centring == "sinkhorn":
            return sinkhorn(outputs, temperature, self.params.sinkhorn_iterations, counted).to(outputs.dtype)
        self._patch_sums.append(torch.cat([counted @ outputs, counted.sum()[None]]))
        return targets_of(outputs, self.patch_centre, temperature)

    def param_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Layer-wise decay of the learning rate in the backbone, the mask token among its first parameters."""
        backbone = {f"backbone.{name}": p for name, p in self.backbone.named_parameters()}
        token = self.mask_tokens.token
        scales = rate_scales(["mask_token", *backbone], self.params.layer_decay, self.params.patch_embedding_rate)
        heads = {f"heads.{name}": p for name, p in self.heads.named_parameters()}
        return scaled_groups({"mask_token": token, **backbone, **heads}, scales, weight_decay)

    def after_backward(self, progress: Progress) -> None:
        """Clip gradients, network by network; freeze the prototypes in the first epochs."""
        if self.params.clip:
            networks = [nn.ModuleList([self.backbone, self.mask_tokens]), *self.heads]
            for network in networks:
                nn.utils.clip_grad_norm_(network.parameters(), self.params.clip)
        if progress.decision(lambda at: at.epoch < self.params.freeze_prototypes):
            self.freeze_prototypes()

    def after_step(self, progress: Progress) -> None:
        """Move both means; EMA update of the teacher."""
        momentum = self.params.centre_momentum
        move_centre(self.centre, self._means, momentum)
        if self._patch_sums:
            sums = mean_over_ranks(torch.stack(self._patch_sums).mean(dim=0))
            self.patch_centre.lerp_(sums[:-1] / sums[-1].clamp(min=torch.finfo(sums.dtype).tiny), 1 - momentum)
            self._patch_sums.clear()
        super().after_step(progress)


# Not published: fewer prototypes for fewer images, and a network that is small.
CIFAR: dict[str, Any] = {"prototypes": 2048, "local_crops": 0, "drop_path": 0.1}
IMAGENETTE: dict[str, Any] = {"prototypes": 4096, "local_crops": 6, "drop_path": 0.1}
QUICK: dict[str, Any] = {
    "prototypes": 128,
    "prototype_gains": False,
    "hidden_dim": 128,
    "bottleneck_dim": 64,
    "local_crops": 0,
    "teacher_temperature": 0.04,
    "teacher_warmup_epochs": 0,
    "teacher_momentum": 0.95,
    "teacher_momentum_end": 0.99,
    "drop_path": 0,
    "freeze_prototypes": 0,
    "layer_decay": 1,
    "patch_embedding_rate": 1,
    "lr": 2e-3,
    "lr_batch": 0,
    "lr_end": 0,
    "weight_decay": 1e-4,
    "weight_decay_end": None,
    "warmup_epochs": 1,
}


def build(params: DINOv2Params, context: BuildContext) -> DINOv2:
    """Raises UserError where small crops hold no whole patches, or a ratio masks all or nothing."""
    assert context.mask_ratio is not None
    return DINOv2(params, context.backbone, context.image_size, context.mask_ratio)


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="dinov2",
            params=DINOv2Params,
            build=build,
            uses=frozenset({"backbone", "augmentation", "masking"}),
            needs=frozenset({"tokens"}),
            view_kinds=lambda params: frozenset({"global", "local"} if params.local_crops else {"global"}),
            augmentation="dino:global_scale_min=0.32,local_scale_max=0.32",
            masking="block:ratio=0.3",
            presets={"cifar": CIFAR, "imagenette": IMAGENETTE, "quick": QUICK},
            citation="Oquab et al.: DINOv2: Learning Robust Visual Features without Supervision, TMLR 2024",
        )
    ]
