"""SimMIM: masked image modelling with mask tokens in the encoder and one linear layer that predicts raw pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslbench import (
    BuildContext,
    MaskRequest,
    Method,
    MethodParams,
    MethodSpec,
    Progress,
    TokenBackbone,
    ViewRequest,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.networks.mask_tokens import MaskTokens
from sslbench_plugins.blocks.networks.patches import from_patches, to_patches

DISTANCES = {"l1": functional.l1_loss, "l2": functional.mse_loss, "smooth-l1": functional.smooth_l1_loss}


class SimMIMParams(MethodParams):
    """Defaults: Xie et al. 2022, section 4, and the authors' configuration of ViT-B for 800 epochs."""

    loss: Literal["l1", "l2", "smooth-l1"] = param("l1", "distance between predicted and true pixels")
    loss_on: Literal["masked", "all"] = param("masked", "patches whose pixels are in the loss")
    head_layers: int = param(1, "linear layers of the prediction head, with GELU between them", ge=1)
    clip: float = param(5.0, "largest norm of the whole gradient; 0: no clipping", ge=0)
    lr: float = param(1e-4, "base learning rate", gt=0)
    lr_batch: int = param(512, "batch size that `lr` is meant for; 0: use `lr` as it is", ge=0, unit="images")
    weight_decay: float = param(0.05, "weight decay", ge=0)
    warmup_epochs: float = param(10, "linear warm-up before the cosine decay", ge=0, unit="epochs")


class SimMIM(Method):
    """N patches of p x p pixels. The encoder gets all of them, a mask token in the place of each masked one; a linear
    layer predicts the pixels of a patch from its encoded token alone."""

    def __init__(self, params: SimMIMParams, backbone: TokenBackbone, image_size: int) -> None:
        super().__init__()
        self.params = params
        self.image_size = image_size
        self.backbone = backbone
        self.mask_tokens = MaskTokens(backbone)
        dim = backbone.token_dim
        hidden = [part for _ in range(params.head_layers - 1) for part in (nn.Linear(dim, dim), nn.GELU())]
        self.head = nn.Sequential(*hidden, nn.Linear(dim, backbone.patch_size**2 * 3))

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),)

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    @property
    def masks(self) -> tuple[MaskRequest, ...]:
        return (MaskRequest(),)

    @property
    def mask_grid(self) -> tuple[int, int]:
        return self.backbone.grid

    def predict(self, images: Tensor, mask: Tensor) -> Tensor:
        """``[B, 3, S, S]``, bool ``[B, N]`` -> predicted pixels of all patches, float32 ``[B, N, p * p * 3]``."""
        encoded = self.backbone.encode(self.mask_tokens(self.backbone, images, mask))
        pixels: Tensor = self.head(encoded[:, self.backbone.prefix_tokens :])
        return pixels.float()

    def loss(self, images: Tensor, prediction: Tensor, mask: Tensor) -> Tensor:
        """Mean distance of the pixels of masked patches, or of all, a scalar (equation 1). Pixels are as they were
        given: normalised by the data set's mean and deviation."""
        target = to_patches(images, self.backbone.patch_size).float()
        distances = DISTANCES[self.params.loss](prediction, target, reduction="none").mean(dim=2)
        if self.params.loss_on == "all":
            return distances.mean()
        return (distances * mask).sum() / mask.sum()

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """One view ``[B, 3, S, S]`` and its mask ``[B, N]`` -> the loss."""
        (images,), (mask,) = views, masks
        return self.loss(images, self.predict(images, mask), mask), {}

    def after_backward(self, progress: Progress) -> None:
        """Clip the whole gradient."""
        if self.params.clip:
            nn.utils.clip_grad_norm_(self.parameters(), self.params.clip)

    def reconstruct(self, images: Tensor, mask: Tensor) -> Tensor:
        """As ``Method.reconstruct``, for masks of any ratio."""
        patches = to_patches(images, self.backbone.patch_size)
        whole = torch.where(mask.unsqueeze(-1), self.predict(images, mask).to(patches.dtype), patches)
        return from_patches(whole, self.backbone.patch_size, self.backbone.grid)


def build(params: SimMIMParams, context: BuildContext) -> SimMIM:
    """SimMIM on a backbone with tokens."""
    return SimMIM(params, context.backbone, context.image_size)


# Not published: rates for smaller networks and fewer steps.
CIFAR = {"lr": 1e-3, "lr_batch": 256}
IMAGENETTE = {"lr": 4e-4, "lr_batch": 256, "warmup_epochs": 20}
QUICK = {"clip": 0, "lr": 2e-3, "lr_batch": 0, "warmup_epochs": 1}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="simmim",
            params=SimMIMParams,
            build=build,
            uses=frozenset({"backbone", "augmentation", "masking"}),
            needs=frozenset({"tokens"}),
            provides=frozenset({"reconstruction"}),
            augmentation="mae:crop_scale_min=0.67",
            masking="random:ratio=0.6,unit=2",
            presets={"cifar": CIFAR, "imagenette": IMAGENETTE, "quick": QUICK},
            citation="Xie, Zhang, Cao, Lin, Bao, Yao, Dai, Hu: SimMIM: A Simple Framework for Masked Image Modeling,"
            " CVPR 2022",
        )
    ]
