"""MoCo v2's views: random crop, colour jitter, grey, blur, flip."""

from __future__ import annotations

from sslbench import AugmentationSpec, BuildContext, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicViews, Pipeline


class MoCoV2ViewParams(Params):
    """Defaults: the authors' `main_moco.py` with `--aug-plus`. The blur is a Gaussian cut at a tenth of the view."""

    crop_scale_min: float = param(0.2, "smallest crop, as a share of the area", gt=0, le=1)
    flip: float = param(0.5, "probability of a horizontal flip", ge=0, le=1)
    jitter: float = param(0.8, "probability of colour jitter (0.4, 0.4, 0.4, 0.1)", ge=0, le=1)
    grey: float = param(0.2, "probability of dropping the colours", ge=0, le=1)
    blur: float = param(0.5, "probability of a Gaussian blur, sigma 0.1 to 2 px", ge=0, le=1)


def build(params: MoCoV2ViewParams, context: BuildContext) -> PhotographicViews:
    """The same pipeline for every view."""
    return PhotographicViews(
        Pipeline(
            crop_scale=(params.crop_scale_min, 1.0),
            flip=params.flip,
            jitter=params.jitter,
            strengths=(0.4, 0.4, 0.4, 0.1),
            grey=params.grey,
            blur=params.blur,
        )
    )


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="moco-v2",
            params=MoCoV2ViewParams,
            build=build,
            # The authors' CIFAR-10 notebook: no blur, torchvision's default crop.
            presets={"cifar": {"blur": 0.0, "crop_scale_min": 0.08}, "quick": {"blur": 0.0}},
            citation="Chen, Fan, Girshick, He: Improved Baselines with Momentum Contrastive Learning, arXiv 2003.04297",
        )
    ]
