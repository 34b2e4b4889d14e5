"""iBOT: self-distillation of images and of masked patches; DINO and masked image modelling with an online tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sslbench import BuildContext, MethodSpec, Progress, TokenBackbone, hookimpl, param
from sslbench_plugins.blocks.networks.masked_student import (
    MaskedStudentParams,
    MaskedStudentTeacher,
    Outputs,
    for_images_and_patches,
)
from sslbench_plugins.blocks.networks.student_teacher import clip_each, move_centre, temperature_at
from sslbench_plugins.blocks.objectives.masked_distillation import MaskedPatches
from sslbench_plugins.blocks.objectives.numerics import at_least_float32, full_precision
from sslbench_plugins.blocks.objectives.self_distillation import targets_of


class IBOTParams(MaskedStudentParams):
    """Defaults: Zhou et al. 2022, and the authors' `main_ibot.py` with their settings of ViT-S/16."""

    local_crops: int = param(10, "small crops beside the two large ones", ge=0)
    patch_temperature: float = param(0.07, "temperature of the teacher for patches, after its warm-up", gt=0)
    patch_temperature_start: float = param(0.04, "temperature of the teacher for patches at the start", gt=0)
    centring: bool = param(True, "subtract the running means of the teacher's outputs")


class IBOT(MaskedStudentTeacher):
    """``loss = class_weight * L_cls + patch_weight * L_mim``: DINO's loss over pairs of crops, and for each masked
    patch of the student's large crops the cross-entropy from the teacher's output for the same patch of the same crop,
    which the teacher sees (equations 1 to 3)."""

    params: IBOTParams
    centre: Tensor
    patch_centre: Tensor

    def __init__(self, params: IBOTParams, backbone: TokenBackbone, image_size: int, mask_ratio: float) -> None:
        super().__init__("ibot", params, backbone, image_size, mask_ratio)
        self.register_buffer("centre", torch.zeros(params.prototypes))
        self.register_buffer("patch_centre", torch.zeros(params.prototypes))
        self._means: list[Tensor] = []
        self._patch_means: list[Tensor] = []
        """of the parts of this step's batch, ``[prototypes]`` each"""

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Crops, the two large ones first, and the masks of these -> the loss, and what ``compare`` logs."""
        temperature = progress.scheduled(self.temperature)
        patch_temperature = progress.scheduled(self.patch_temperature)
        masked = self.masked(masks)
        _, students = self.student(views, masked)
        teachers, patches = self.teacher(views)
        targets = self.patch_targets(patches, masked, patch_temperature) if masked else None
        return self.compare(students, Outputs(self.image_targets(teachers, temperature), targets), masked)

    def temperature(self, progress: Progress) -> float:
        """The teacher's for images: rises per epoch, in equal steps over the warm-up."""
        p = self.params
        return temperature_at(
            progress.epoch, p.teacher_warmup_epochs, p.teacher_temperature_start, p.teacher_temperature
        )

    def patch_temperature(self, progress: Progress) -> float:
        """The teacher's for patches, in the same steps."""
        p = self.params
        return temperature_at(progress.epoch, p.teacher_warmup_epochs, p.patch_temperature_start, p.patch_temperature)

    @torch.no_grad()
    def image_targets(self, teachers: Tensor, temperature: float | Tensor) -> Tensor:
        """The teacher's outputs ``[2, B, K]`` -> centred, sharpened probabilities of that shape."""
        p = self.params
        if p.centring:
            self._means.append(teachers.mean(dim=(0, 1)))
        return targets_of(teachers, self.centre, temperature)

    @torch.no_grad()
    def patch_targets(self, tokens: Tensor, masked: MaskedPatches, temperature: float | Tensor) -> Tensor:
        """The teacher's patches ``[2 B, N, D]`` -> probabilities for the chosen ones ``[T, K]``, centred by the running
        mean over all patches."""
        p, (_, head) = self.params, for_images_and_patches(self.teacher_heads)
        embedded = head.embed(tokens)
        if p.centring:
            with full_precision(embedded):
                # The mean output of all patches is the output of their mean.
                self._patch_means.append(head.compare(at_least_float32(embedded).mean(dim=(0, 1))))
        outputs = at_least_float32(head.compare(masked.gather(embedded)))
        return targets_of(outputs, self.patch_centre, temperature)

    def after_backward(self, progress: Progress) -> None:
        """Clip gradients; freeze the prototypes in the first epochs."""
        if self.params.clip:
            clip_each([p for p in self.parameters() if p.grad is not None], self.params.clip)
        if progress.decision(lambda at: at.epoch < self.params.freeze_prototypes):
            self.freeze_prototypes()

    def after_step(self, progress: Progress) -> None:
        """Move both centres; EMA update of the teacher."""
        move_centre(self.centre, self._means, self.params.centre_momentum)
        move_centre(self.patch_centre, self._patch_means, self.params.centre_momentum)
        super().after_step(progress)


# Not published. Small crops of images of 32 px show next to nothing.
CIFAR: dict[str, Any] = {"prototypes": 2048, "local_crops": 0}
IMAGENETTE: dict[str, Any] = {"prototypes": 4096, "local_crops": 6}
QUICK: dict[str, Any] = {
    "prototypes": 128,
    "hidden_dim": 128,
    "bottleneck_dim": 64,
    "local_crops": 0,
    "teacher_temperature": 0.04,
    "patch_temperature": 0.04,
    "teacher_warmup_epochs": 0,
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


def build(params: IBOTParams, context: BuildContext) -> IBOT:
    """Raises UserError where small crops hold no whole patches, or a ratio masks all or nothing."""
    assert context.mask_ratio is not None
    return IBOT(params, context.backbone, context.image_size, context.mask_ratio)


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="ibot",
            params=IBOTParams,
            build=build,
            uses=frozenset({"backbone", "augmentation", "masking"}),
            needs=frozenset({"tokens"}),
            view_kinds=lambda params: frozenset({"global", "local"} if params.local_crops else {"global"}),
            augmentation="dino:global_scale_min=0.25,local_scale_max=0.25",
            masking="block:ratio=0.3",
            presets={"cifar": CIFAR, "imagenette": IMAGENETTE, "quick": QUICK},
            citation="Zhou, Wei, Wang, Shen, Xie, Yuille, Kong: iBOT: Image BERT Pre-Training with Online Tokenizer,"
            " ICLR 2022",
        )
    ]
