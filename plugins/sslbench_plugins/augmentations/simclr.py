"""SimCLR's views: random crop and flip, colour jitter in random order, grey, blur."""

from __future__ import annotations

from sslbench import AugmentationSpec, BuildContext, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicViews, Pipeline


class SimCLRViewParams(Params):
    """Defaults: Chen et al. 2020, appendix A. The filter of the resize is bilinear with antialiasing."""

    crop_scale_min: float = param(0.08, "smallest crop, as a share of the area", gt=0, le=1)
    flip: float = param(0.5, "probability of a horizontal flip", ge=0, le=1)
    jitter: float = param(0.8, "probability of colour jitter", ge=0, le=1)
    strength: float = param(1.0, "of the jitter: brightness, contrast and saturation 0.8 times it, hue 0.2", ge=0, le=2)
    grey: float = param(0.2, "probability of dropping the colours", ge=0, le=1)
    blur: float = param(0.5, "probability of a Gaussian blur, its kernel a tenth of the view", ge=0, le=1)
    blur_sigma_min: float = param(0.1, "smallest deviation of the blur", gt=0, unit="px")
    blur_sigma_max: float = param(2.0, "largest deviation of the blur", gt=0, unit="px")


def build(params: SimCLRViewParams, context: BuildContext) -> PhotographicViews:
    """The same pipeline for every view."""
    strength = params.strength
    return PhotographicViews(
        Pipeline(
            crop_scale=(params.crop_scale_min, 1.0),
            flip=params.flip,
            jitter=params.jitter,
            strengths=(0.8 * strength, 0.8 * strength, 0.8 * strength, min(0.5, 0.2 * strength)),
            grey=params.grey,
            blur=params.blur,
            blur_sigma=(params.blur_sigma_min, max(params.blur_sigma_min, params.blur_sigma_max)),
        )
    )


# Without blur and at half the strength: appendix B.9, for CIFAR-10.
SMALL_IMAGES = {"blur": 0.0, "strength": 0.5}


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="simclr",
            params=SimCLRViewParams,
            build=build,
            presets={"cifar": SMALL_IMAGES, "quick": {**SMALL_IMAGES, "crop_scale_min": 0.2}},
            citation="Chen et al. 2020, appendix A (views) and B.9 (small images)",
        )
    ]
