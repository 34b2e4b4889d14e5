"""MAE's view: random crop and flip, nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, BuildContext, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicViews, Pipeline


class MAEViewParams(Params):
    """Defaults: He et al. 2022, appendix A.1. The filter of the resize is bilinear with antialiasing."""

    crop_scale_min: float = param(0.2, "smallest crop, as a share of the area", gt=0, le=1)
    flip: float = param(0.5, "probability of a horizontal flip", ge=0, le=1)


def build(params: MAEViewParams, context: BuildContext) -> PhotographicViews:
    """The same pipeline for every view."""
    return PhotographicViews(Pipeline(crop_scale=(params.crop_scale_min, 1.0), flip=params.flip))


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    citation = "He et al.: Masked Autoencoders Are Scalable Vision Learners, CVPR 2022, appendix A.1"
    return [AugmentationSpec(name="mae", params=MAEViewParams, build=build, citation=citation)]
