"""What DINO, iBOT and DINOv2 share: parameters of student and teacher, large and small crops, clipping, schedules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from sslbench import Backbone, MethodParams, ViewRequest, mean_over_ranks, param, scale_each
from sslbench_plugins.blocks.views.small_crops import small_crop


class StudentTeacherParams(MethodParams):
    """Defaults: DINO's (Caron et al. 2021, and the authors' `main_dino.py`)."""

    head_layers: int = param(3, "linear layers of the head before the prototypes", ge=1)
    hidden_dim: int = param(2048, "hidden width of the head", ge=1)
    bottleneck_dim: int = param(256, "width before the prototypes", ge=1)
    local_crops: int = param(8, "small crops beside the two large ones", ge=0)
    local_size: int = param(0, "side of a small crop; 0: three sevenths of the image", ge=0, unit="px")
    student_temperature: float = param(0.1, "temperature of the student", gt=0)
    teacher_temperature: float = param(0.04, "temperature of the teacher after its warm-up", gt=0)
    teacher_temperature_start: float = param(0.04, "temperature of the teacher at the start", gt=0)
    teacher_warmup_epochs: float = param(0, "linear warm-up of the teacher's temperature", ge=0, unit="epochs")
    centre_momentum: float = param(0.9, "of the running mean of the teacher's output", ge=0, lt=1)
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


class MultiCrop(Protocol):
    """Parameters of a method with small crops, SwAV's too: how many, and their side in pixels or 0."""

    @property
    def local_crops(self) -> int: ...

    @property
    def local_size(self) -> int: ...


def crop_requests(method: str, params: MultiCrop, backbone: Backbone, size: int) -> tuple[ViewRequest, ...]:
    """Two large crops of ``size`` pixels, then the small ones. Raises UserError where they hold no whole patches."""
    small = small_crop(method, params.local_crops, params.local_size, backbone, size)
    return (ViewRequest("global", size),) * 2 + (ViewRequest("local", small),) * params.local_crops


def temperature_at(done: float, warmup: float, start: float, end: float) -> float:
    """Of the teacher, after ``done`` of ``warmup`` equal parts (epochs or steps): it rises from ``start`` part by part,
    and has come to ``end`` in the last one; a single part is the start itself."""
    share = min(1.0, done / max(1.0, warmup - 1)) if done < warmup else 1.0
    return start + share * (end - start)


def clip_each(parameters: Sequence[nn.Parameter], largest: float) -> None:
    """Scale each parameter's gradient down to a norm of ``largest``, each by itself."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if gradients:
        norms = torch.stack(torch._foreach_norm(gradients))
        scale_each(gradients, (largest / (norms + 1e-6)).clamp(max=1))


def move_centre(centre: Tensor, means: list[Tensor], momentum: float) -> None:
    """Move a running mean ``[K]`` to the mean over all ranks of the means of a step's parts, once however many these
    are, and forget them."""
    if means:
        centre.lerp_(mean_over_ranks(torch.stack(means).mean(dim=0)), 1 - momentum)
    means.clear()
