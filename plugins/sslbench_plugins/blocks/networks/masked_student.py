"""What iBOT and DINOv2 share: a student that gets large crops with masked patches, its EMA teacher that gets them
whole, and heads for images and for patches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from sslbench import MaskRequest, Method, Progress, TokenBackbone, ViewRequest, cosine, masked_count, param
from sslbench_plugins.blocks.networks.mask_tokens import MaskTokens
from sslbench_plugins.blocks.networks.prototype_head import PrototypeHead
from sslbench_plugins.blocks.networks.student_teacher import StudentTeacherParams, crop_requests
from sslbench_plugins.blocks.objectives.masked_distillation import MaskedPatches, masked_distillation
from sslbench_plugins.blocks.objectives.moving_average import ema_copy, ema_update
from sslbench_plugins.blocks.objectives.numerics import at_least_float32, full_precision
from sslbench_plugins.blocks.objectives.self_distillation import by_size, embedding_spread, self_distillation


class MaskedStudentParams(StudentTeacherParams):
    """What iBOT and DINOv2 have beside DINO's, and where both differ from it."""

    heads: Literal["shared", "separate"] = param("shared", "one head for images and patches, or one for each")
    prototypes: int = param(8192, "width of a head's output", ge=2)
    prototype_gains: bool = param(False, "train the length of each prototype; false: it stays 1")
    class_weight: float = param(1.0, "weight of the loss of images; 0: masked patches alone", ge=0)
    patch_weight: float = param(1.0, "weight of the loss of masked patches; 0: nothing is masked", ge=0)
    mask_spread: float = param(
        0.2, "by how much the ratio of masked patches is spread around the masking's", ge=0, lt=1
    )
    mask_share: float = param(0.5, "share of the large crops that are masked", gt=0, le=1)
    teacher_temperature: float = param(0.07, "temperature of the teacher after its warm-up", gt=0)
    teacher_warmup_epochs: float = param(30, "linear warm-up of the teacher's temperature", ge=0, unit="epochs")


class Outputs(NamedTuple):
    """Of heads: logits of a student, or probabilities of a teacher."""

    images: Tensor  # [V, B, K]: of V crops of B images
    patches: Tensor | None  # [T, K]: of the chosen patches of the large crops; None where nothing is masked


class MaskedStudentTeacher(Method):
    """On a backbone with tokens; subclasses say what the teacher's targets are. The teacher is evaluated."""

    def __init__(
        self, name: str, params: MaskedStudentParams, backbone: TokenBackbone, image_size: int, mask_ratio: float
    ) -> None:
        super().__init__()
        self.params = params
        self._views = crop_requests(name, params, backbone, image_size)
        masked_count(backbone.grid[0] * backbone.grid[1], mask_ratio)  # raises UserError
        self.backbone = backbone
        self.heads = nn.ModuleList(made_head(params, backbone) for _ in range(1 + (params.heads == "separate")))
        self.mask_tokens = MaskTokens(backbone)
        nn.init.zeros_(self.mask_tokens.token)
        self.teacher_backbone, self.teacher_heads = ema_copy(self.backbone), ema_copy(self.heads)
        if params.drop_path:
            # After the teacher was copied: only the student leaves branches out.
            self.backbone.stochastic_depth(params.drop_path)

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return self._views

    @property
    def encoder(self) -> nn.Module:
        return self.teacher_backbone

    @property
    def masks(self) -> tuple[MaskRequest, ...]:
        p = self.params
        of_both = (MaskRequest(view, spread=p.mask_spread, share=p.mask_share) for view in range(2))
        return tuple(of_both) if p.patch_weight else ()

    @property
    def mask_grid(self) -> tuple[int, int]:
        return self.backbone.grid

    def masked(self, masks: Sequence[Tensor]) -> MaskedPatches | None:
        """Of both large crops; None where nothing is masked."""
        return MaskedPatches.of(masks, self.most_masked) if masks else None

    def student(self, views: Sequence[Tensor], masked: MaskedPatches | None) -> tuple[Tensor, Outputs]:
        """V crops, the two large ones first -> features of the large ones, ``[2 B, D]``, and what the heads return."""
        images = torch.cat(list(views[:2]))
        if masked is None:
            embedded = self.backbone.embed(images)
        else:
            embedded = self.mask_tokens(self.backbone, images, masked.mask)
        tokens = self.backbone.encode(embedded)
        large = self.backbone.pool(tokens)
        # One pass for all crops of a size, as in the authors' codes.
        small = [self.backbone(torch.cat(group)) for group in by_size(views[2:])]
        head, patch_head = for_images_and_patches(self.heads)
        of_images = at_least_float32(head(torch.cat([large, *small])))
        of_images = of_images.view(len(views), -1, of_images.shape[1])
        if masked is None:
            return large, Outputs(of_images, None)
        patches = masked.gather(tokens[:, self.backbone.prefix_tokens :])
        return large, Outputs(of_images, at_least_float32(patch_head(patches)))

    @torch.no_grad()
    def teacher(self, views: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Of the two large crops, nothing masked: outputs for images ``[2, B, K]``, and patches before the head,
        ``[2 B, N, D]``."""
        tokens = self.teacher_backbone.encode(self.teacher_backbone.embed(torch.cat(list(views[:2]))))
        head, _ = for_images_and_patches(self.teacher_heads)
        of_images = at_least_float32(head(self.teacher_backbone.pool(tokens)))
        return of_images.view(2, -1, of_images.shape[1]), tokens[:, self.teacher_backbone.prefix_tokens :]

    def compare(
        self, students: Outputs, targets: Outputs, masked: MaskedPatches | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of DINO's loss over pairs of crops and iBOT's of masked patches; and both, the teacher's
        entropy in nats, how far apart its distributions are, and the loss of a student that puts all on all prototypes
        alike."""
        p = self.params
        with full_precision(students.images):
            loss = self_distillation(students.images, targets.images, p.student_temperature)
        scalars = {
            "class_loss": loss.detach(),
            "teacher_entropy": torch.special.entr(targets.images).sum(dim=-1).mean(),
            # In these collapse shows: all images on one prototype, or on all alike.
            "embedding_spread": embedding_spread(targets.images[0]),
            "uniform_loss": torch.full_like(loss, p.class_weight * math.log(p.prototypes)),
        }
        if masked is None or students.patches is None or targets.patches is None:
            return p.class_weight * loss, scalars
        with full_precision(students.patches):
            of_patches = masked_distillation(students.patches, targets.patches, masked.weights, p.student_temperature)
        scalars["patch_loss"] = of_patches.detach()
        scalars["patch_entropy"] = masked.mean(torch.special.entr(targets.patches).sum(dim=-1))
        scalars["uniform_loss"] += p.patch_weight * math.log(p.prototypes) * masked.share
        return p.class_weight * loss + p.patch_weight * of_patches, scalars

    def freeze_prototypes(self) -> None:
        """Let this step change no prototype."""
        for head in for_images_and_patches(self.heads):
            head.freeze_prototypes()

    def after_step(self, progress: Progress) -> None:
        """EMA update of the teacher, with a momentum that rises on a cosine."""
        start, end = self.params.teacher_momentum, self.params.teacher_momentum_end
        momentum = progress.scheduled(lambda at: cosine(start, end, at.fraction))
        ema_update(self.teacher_backbone, self.backbone, momentum)
        ema_update(self.teacher_heads, self.heads, momentum)


def made_head(params: MaskedStudentParams, backbone: TokenBackbone) -> PrototypeHead:
    """A head as the parameters say, for features and for tokens."""
    return PrototypeHead(
        backbone.feature_dim,
        params.prototypes,
        layers=params.head_layers,
        hidden_dim=params.hidden_dim,
        bottleneck_dim=params.bottleneck_dim,
        gains=params.prototype_gains,
    )


def for_images_and_patches(heads: nn.ModuleList) -> tuple[PrototypeHead, PrototypeHead]:
    """The head for images and that for patches: the same where it is shared."""
    return cast(PrototypeHead, heads[0]), cast(PrototypeHead, heads[-1])
