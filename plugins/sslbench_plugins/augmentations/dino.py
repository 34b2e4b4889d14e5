"""DINO's multi-crop: two large crops, blurred and solarised unlike, and any number of small ones."""

from __future__ import annotations

from dataclasses import replace

from sslbench import AugmentationSpec, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicView, Pipeline


class DINOViewParams(Params):
    """Defaults: the authors' `main_dino.py`, `DataAugmentationDINO`. The filter of the resize is bilinear, the blur a
    Gaussian cut at a tenth of the view."""

    global_scale_min: float = param(0.4, "smallest large crop, as a share of the area", gt=0, le=1)
    local_scale_min: float = param(0.05, "smallest small crop, as a share of the area", gt=0, le=1)
    local_scale_max: float = param(0.4, "largest small crop, as a share of the area", gt=0, le=1)
    flip: float = param(0.5, "probability of a horizontal flip", ge=0, le=1)
    jitter: float = param(0.8, "probability of colour jitter (0.4, 0.4, 0.2, 0.1)", ge=0, le=1)
    grey: float = param(0.2, "probability of dropping the colours", ge=0, le=1)
    blur_first: float = param(1.0, "probability of a blur of the first large crop, sigma 0.1 to 2 px", ge=0, le=1)
    blur_second: float = param(0.1, "probability of a blur of the second large crop", ge=0, le=1)
    blur_local: float = param(0.5, "probability of a blur of a small crop", ge=0, le=1)
    solarize_second: float = param(0.2, "probability that the second large crop is solarised", ge=0, le=1)


class DINOViews:
    """View 0 is the first large crop, the other global ones are drawn as the second; ``local`` views are small."""

    def __init__(self, params: DINOViewParams) -> None:
        self.first = Pipeline(
            crop_scale=(params.global_scale_min, 1.0),
            flip=params.flip,
            jitter=params.jitter,
            strengths=(0.4, 0.4, 0.2, 0.1),
            grey=params.grey,
            blur=params.blur_first,
        )
        self.second = replace(self.first, blur=params.blur_second, solarize=params.solarize_second)
        largest = max(params.local_scale_min, params.local_scale_max)
        self.local = replace(self.first, crop_scale=(params.local_scale_min, largest), blur=params.blur_local)

    def view(self, index: int, kind: str, size: int) -> PhotographicView:
        """The view of an index and kind."""
        if kind == "local":
            return PhotographicView(self.local, size)
        return PhotographicView(self.first if index == 0 else self.second, size)


# lightly's CIFAR-10 benchmark blurs nothing.
SMALL_IMAGES = {"blur_first": 0.0, "blur_second": 0.0, "blur_local": 0.0}


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="dino",
            params=DINOViewParams,
            build=lambda params, context: DINOViews(params),
            view_kinds=frozenset({"global", "local"}),
            # `resnet`: the authors' crops for ResNet-50.
            presets={
                "resnet": {"global_scale_min": 0.14, "local_scale_max": 0.14},
                "cifar": SMALL_IMAGES,
                "quick": {**SMALL_IMAGES, "local_scale_min": 0.15},
            },
            citation="Caron et al.: Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021",
        )
    ]
