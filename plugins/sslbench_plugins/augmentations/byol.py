"""BYOL's asymmetric pair: the first view always blurred, the second seldom blurred and sometimes solarised."""

from __future__ import annotations

from dataclasses import replace

from sslbench import AugmentationSpec, BuildContext, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicViews, Pipeline


class BYOLViewParams(Params):
    """Defaults: Grill et al. 2020, appendix B, table 6. Brightness is a factor here, an offset in the paper."""

    crop_scale_min: float = param(0.08, "smallest crop, as a share of the area", gt=0, le=1)
    flip: float = param(0.5, "probability of a horizontal flip", ge=0, le=1)
    jitter: float = param(0.8, "probability of colour jitter (0.4, 0.4, 0.2, 0.1)", ge=0, le=1)
    grey: float = param(0.2, "probability of dropping the colours", ge=0, le=1)
    blur_first: float = param(1.0, "probability of a blur of the first view, sigma 0.1 to 2 px", ge=0, le=1)
    blur_second: float = param(0.1, "probability of a blur of the second view", ge=0, le=1)
    solarize_second: float = param(0.2, "probability that the second view is solarised, threshold 0.5", ge=0, le=1)


def build(params: BYOLViewParams, context: BuildContext) -> PhotographicViews:
    """Even views are drawn as the first, odd ones as the second."""
    first = Pipeline(
        crop_scale=(params.crop_scale_min, 1.0),
        flip=params.flip,
        jitter=params.jitter,
        strengths=(0.4, 0.4, 0.2, 0.1),
        grey=params.grey,
        blur=params.blur_first,
    )
    return PhotographicViews(first, replace(first, blur=params.blur_second, solarize=params.solarize_second))


# lightly's CIFAR-10 benchmark: no blur.
SMALL_IMAGES = {"blur_first": 0.0, "blur_second": 0.0}


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="byol",
            params=BYOLViewParams,
            build=build,
            presets={"cifar": SMALL_IMAGES, "quick": {**SMALL_IMAGES, "crop_scale_min": 0.2}},
            citation="Grill et al.: Bootstrap Your Own Latent, NeurIPS 2020, appendix B",
        )
    ]
